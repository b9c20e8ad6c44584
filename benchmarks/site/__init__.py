"""What the documentation site is made of beside its pages: live reports, pictures, and the proof that it asks no host for anything."""

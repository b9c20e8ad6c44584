// Live pictures: Bokeh draws the panels; lanes of findings, the cursor and the values beside it are elements of the page.
"use strict";
(() => {
  Bokeh.set_log_level("error");
  const LEFT = 58, RIGHT = 8, STILL_FOR = 120;
  const NEAR = 8;
  const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
  const ARRAYS = {i: Int32Array, f: Float32Array, d: Float64Array};
  const pictures = new Map();
  const coarse = matchMedia("(pointer: coarse)").matches;

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const column = ([kind, text]) => {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new ARRAYS[kind](bytes.buffer);
  };
  const number = value => {
    const size = Math.abs(value);
    if (!Number.isFinite(value)) return "not finite";
    if (size !== 0 && (size >= 1e6 || size < 1e-4)) return Number(value.toPrecision(3)).toExponential();
    return size >= 1000 ? value.toLocaleString("en", {maximumFractionDigits: 0}) : String(Number(value.toPrecision(4)));
  };
  const whole = value => Math.round(value).toLocaleString("en");
  // The end of a long name tells runs apart.
  const shortened = name => name.length > 56 ? `…${name.slice(-55)}` : name;
  // The first place whose value is not below `wanted`.
  const bisect = (values, wanted) => {
    let low = 0, high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] < wanted) low = middle + 1; else high = middle;
    }
    return low;
  };
  // Round values within: 1, 2 or 5 times a power of ten apart, on a log axis over decades these themselves.
  const roundTicks = (low, high, most, log) => {
    if (log && high / low > 4) {
      const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
      for (const [factors, every] of [[[1, 2, 5], 1], [[1, 3], 1], [[1], 1], [[1], 2], [[1], 3], [[1], 5], [[1], 10], [[1], 50]]) {
        const found = [];
        for (let power = Math.ceil(first / every) * every; power <= last; power += every) {
          for (const factor of factors) {
            const value = Number(`${factor}e${power}`);
            if (value >= low && value <= high) found.push(value);
          }
        }
        if (found.length <= most + 1) return found;
      }
    }
    const power = 10 ** Math.floor(Math.log10((high - low) / most));
    for (const factor of [1, 2, 5, 10, 20]) {
      const gap = factor * power, first = Math.ceil(low / gap - 1e-9), last = Math.floor(high / gap + 1e-9);
      if (last - first < most + 1) return Array.from({length: last - first + 1}, (_, i) => Number(((first + i) * gap).toPrecision(12)));
    }
    return [low, high];
  };
  const ramp = colors => {
    const parts = colors.map(color => [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16)));
    return Array.from({length: 128}, (_, i) => {
      const at = i / 127 * (parts.length - 1), left = Math.min(Math.floor(at), parts.length - 2), share = at - left;
      const mix = parts[left].map((c, k) => Math.round(c + (parts[left + 1][k] - c) * share));
      return "#" + mix.map(c => c.toString(16).padStart(2, "0")).join("");
    });
  };

  class Picture {
    constructor(figure, data) {
      this.figure = figure;
      this.data = data;
      this.steps = !data.x.log && data.x.title === "step";
      this.first = data.x.first;
      this.last = data.x.last;
      for (const panel of data.panels) {
        panel.lines = panel.lines.map(([name, tone, style, x, y]) => ({name, tone, style, x: column(x), y: column(y)}));
        if (panel.heat) {
          panel.heat.edge = column(panel.heat.edge);
          panel.heat.value = column(panel.heat.value);
        }
      }
    }

    color(tone) {
      const probe = element("i", {class: tone, hidden: ""});
      this.figure.append(probe);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found;
    }

    variable(name) {
      return getComputedStyle(this.figure).getPropertyValue(name).trim();
    }

    async show() {
      const old = this.live;
      const margin = this.data.x.log ? 0 : (this.last - this.first) * .005;
      const range = this.x ? [this.x.start, this.x.end] : [this.first - margin, this.last + margin];
      this.whole = [this.first - margin, this.last + margin];
      this.x = new Bokeh.Range1d({start: range[0], end: range[1]});
      this.live = element("div", {class: "live", tabindex: "0", role: "group", "aria-label": this.figure.querySelector("svg").getAttribute("aria-label")});
      this.live.append(this.tools());
      if (this.data.legend.length) {
        const keys = this.data.legend.map(([tone, name]) => element("span", {class: tone, title: name}, `━ ${shortened(name)}`));
        this.live.append(element("div", {class: "legend"}, ...keys));
      }
      this.live.append(...this.lanes());
      const rows = this.data.panels.map((panel, place) => this.row(panel, place));
      this.live.append(...rows.map(row => row.element));
      this.cursor = element("div", {class: "cursor", hidden: ""});
      this.tip = element("div", {class: "tip", hidden: ""});
      this.said = element("p", {class: "hidden", "aria-live": "polite"});
      this.live.append(this.cursor, this.tip, this.said);
      const still = this.figure.querySelector(".still");
      still.after(this.live);
      const doc = new Bokeh.Document();
      rows.forEach(row => doc.add_root(row.plot));
      this.rows = rows;
      // The plots have no elements of their own in the page until they are drawn, so the still picture stays until then.
      const views = await Bokeh.embed.add_document_standalone(doc, this.live, rows.map(row => row.place));
      rows.forEach(row => { row.view = views.get(row.plot); });
      this.document = doc;
      still.style.display = "none";
      old?.remove();
      this.x.change.connect(() => this.moved());
      this.listen();
      this.moved();
      this.figure.dataset.drawn = "1";
    }

    tools() {
      const bar = element("div", {class: "bar-of-tools"});
      const button = (label, name, action) => {
        const made = element("button", {type: "button", "aria-label": name, title: name}, label);
        made.addEventListener("click", action);
        bar.append(made);
        return made;
      };
      button("−", "Zoom out", () => this.zoom(2));
      button("+", "Zoom in", () => this.zoom(.5));
      button("◀", "Earlier", () => this.pan(-.5));
      button("▶", "Later", () => this.pan(.5));
      button("Whole run", "Show everything", () => this.go(...this.whole)).textContent = this.steps ? "Whole run" : "All";
      this.told = element("span", {class: "dim", "data-range": ""});
      bar.append(this.told);
      if (!coarse) bar.append(element("span", {class: "dim"}, "Drag to zoom, Shift and drag to move, Ctrl and wheel to zoom; arrow keys read values."));
      else bar.append(element("span", {class: "dim"}, "Two fingers zoom and move; one reads values."));
      return bar;
    }

    lanes() {
      const names = [...new Set(this.data.bands.map(band => band[2]))];
      this.marks = [];
      return names.map(name => {
        const track = element("div", {class: "track"});
        for (const [first, last, lane, text, tone] of this.data.bands) {
          if (lane !== name) continue;
          const label = `${lane}: ${text}`;
          const mark = element("button", {type: "button", class: tone, "aria-label": label, title: label, tabindex: "-1"});
          mark.addEventListener("click", () => this.goTo(first, last));
          track.append(mark);
          this.marks.push({mark, first, last});
        }
        // One stop for the keyboard per lane; the arrow keys go from mark to mark.
        track.firstChild?.setAttribute("tabindex", "0");
        track.addEventListener("keydown", event => {
          const next = {ArrowLeft: "previousSibling", ArrowRight: "nextSibling"}[event.key];
          const target = next && event.target[next];
          if (!target) return;
          event.preventDefault();
          event.target.setAttribute("tabindex", "-1");
          target.setAttribute("tabindex", "0");
          target.focus();
        });
        return element("div", {class: "row lane"}, element("div", {class: "name", title: name}, name), track);
      });
    }

    row(panel, place) {
      const last = place === this.data.panels.length - 1;
      const line = this.variable("--line"), dim = this.variable("--dim");
      const y = new Bokeh.Range1d({start: 0, end: 1});
      const plot = Bokeh.Plotting.figure({
        x_range: this.x, y_range: y, height: panel.height + (last ? 46 : 13), sizing_mode: "stretch_width", tools: [],
        toolbar_location: null, x_axis_type: this.data.x.log ? "log" : "linear", y_axis_type: panel.log ? "log" : "linear",
        background_fill_color: null, border_fill_color: null, outline_line_color: line,
        min_border_left: LEFT, min_border_right: RIGHT, min_border_top: 6, min_border_bottom: last ? 40 : 7,
        output_backend: "canvas",
      });
      for (const axis of [plot.xaxis, plot.yaxis]) {
        Object.assign(axis, {
          axis_line_color: line, major_tick_line_color: line, minor_tick_line_color: null, major_label_text_color: dim,
          major_label_text_font_size: "11px", axis_label_text_color: dim, axis_label_text_font_size: "12px",
          axis_label_text_font_style: "normal",
        });
      }
      for (const grid of [plot.xgrid, plot.ygrid]) grid.grid_line_color = line;
      plot.xaxis.visible = last;
      if (last) plot.xaxis.axis_label = this.data.x.title;
      if (this.steps) {
        plot.xaxis.formatter = new Bokeh.NumeralTickFormatter({format: "0,0"});
        for (const where of [plot.xaxis, plot.xgrid]) where.ticker = new Bokeh.BasicTicker({desired_num_ticks: Math.max(3, Math.min(8, Math.round((this.figure.clientWidth - 60) / 110))), min_interval: 1});
      }
      const ticker = new Bokeh.FixedTicker({ticks: []});
      for (const where of [plot.yaxis, plot.ygrid]) where.ticker = ticker;
      const across = this.data.x.log ? new Bokeh.FixedTicker({ticks: []}) : null;
      if (across) for (const where of [plot.xaxis, plot.xgrid]) where.ticker = across;
      const name = element("div", {class: "name"}, panel.title + " ");
      if (panel.log && !panel.heat) name.append(element("span", {class: "dim"}, "(log)"));
      const key = (tone, text) => name.append(element("i", {class: tone}, text));
      this.shade(plot);
      if (panel.heat) this.heat(plot, panel.heat, name);
      if (panel.bad.length) {
        const source = new Bokeh.ColumnDataSource({data: {x: panel.bad}});
        plot.vspan({field: "x"}, {source, line_color: this.color("error"), line_alpha: .6});
        key("error", "│ NaN or infinity");
      }
      if (panel.bars.length) {
        const source = new Bokeh.ColumnDataSource({data: {left: panel.bars.map(b => b[0]), right: panel.bars.map(b => b[1]), top: panel.bars.map(b => b[2])}});
        plot.quad({
          left: {field: "left"}, right: {field: "right"}, top: {field: "top"}, bottom: 0, source,
          fill_color: this.color("warning"), fill_alpha: .75, line_color: null,
        });
      }
      for (const one of panel.lines) {
        const source = new Bokeh.ColumnDataSource({data: {x: one.x, y: one.y}});
        const color = this.color(one.tone), at = {x: {field: "x"}, y: {field: "y"}, source};
        if (one.style === "dots") plot.scatter({...at, size: one.x.length > 150 && one.name === "clipped" ? 3 : 5, fill_color: color, line_color: null});
        else if (one.style === "steps") plot.step({...at, mode: "after", line_color: color, line_width: 1.4});
        else plot.line({...at, line_color: color, line_width: 1.3, line_alpha: this.data.legend.length ? .8 : 1, line_dash: one.style === "dashed" ? [6, 4] : []});
        if (panel.lines.length > 1 && !this.data.legend.length) key(one.tone, `${one.style === "dots" ? "●" : one.style === "dashed" ? "┄" : "─"} ${one.name}`);
      }
      for (const [value, text, tone] of panel.levels) {
        plot.add_layout(new Bokeh.Span({location: value, dimension: "width", line_color: this.color(tone), line_dash: [6, 4], line_width: 1.3}));
        key(tone, `┄ ${text}`);
      }
      for (const [at, text, tone] of panel.uprights) {
        plot.add_layout(new Bokeh.Span({location: at, dimension: "height", line_color: this.color(tone), line_dash: [6, 4], line_width: 1.6}));
        key(tone, `┆ ${text}`);
      }
      if (!coarse) {
        const box = new Bokeh.BoxZoomTool({dimensions: "width"});
        const pan = new Bokeh.PanTool({dimensions: "width"});
        plot.add_tools(box, pan, new Bokeh.WheelZoomTool({dimensions: "width", modifiers: {ctrl: true}}));
        plot.toolbar.active_drag = box;
        plot.toolbar.active_scroll = plot.toolbar.tools.find(tool => tool instanceof Bokeh.WheelZoomTool);
      }
      const holder = element("div", {class: "place"});
      return {panel, plot, y, ticker, across, place: holder, element: element("div", {class: "row"}, name, holder)};
    }

    shade(plot) {
      const shown = this.data.bands.filter(band => band[5]);
      for (const tone of new Set(shown.map(band => band[4]))) {
        const mine = shown.filter(band => band[4] === tone), color = this.color(tone);
        const source = new Bokeh.ColumnDataSource({data: {x0: mine.map(b => b[0]), x1: mine.map(b => b[1])}});
        const alpha = Number(this.variable("--shade"));
        plot.vstrip({
          x0: {field: "x0"}, x1: {field: "x1"}, source, fill_color: color, fill_alpha: alpha, line_color: color,
          line_alpha: alpha * 1.6,
        });
      }
    }

    heat(plot, heat, name) {
      const rows = heat.names.length, columns = heat.edge.length - 1;
      const logs = Float32Array.from(heat.value, v => v > 0 && Number.isFinite(v) ? Math.log10(v) : NaN);
      let low = Infinity, high = -Infinity;
      for (const v of logs) if (v === v) { low = Math.min(low, v); high = Math.max(high, v); }
      // The first layer is on top, as it is in a list; where something was not finite it is drawn beyond the range.
      const turned = new Float32Array(logs.length);
      for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
        const v = heat.value[r * columns + c];
        turned[(rows - 1 - r) * columns + c] = v === Infinity ? high + 1e3 : logs[r * columns + c];
      }
      const {ndarray} = Bokeh.require("core/util/ndarray");
      const image = ndarray(turned.buffer, {dtype: "float32", shape: [rows, columns]});
      const mapper = new Bokeh.LinearColorMapper({palette: ramp(VIRIDIS), low, high: high > low ? high : low + 1, high_color: this.color("error"), nan_color: "rgba(0,0,0,0)"});
      const source = new Bokeh.ColumnDataSource({data: {image: [image]}});
      plot.image({image: {field: "image"}, x: heat.edge[0], y: 0, dw: heat.edge[columns] - heat.edge[0], dh: rows, color_mapper: mapper, source});
      plot.yaxis.visible = false;
      plot.ygrid.grid_line_color = plot.xgrid.grid_line_color = null;
      const strip = element("span", {class: "ramp"});
      strip.style.background = `linear-gradient(90deg,${VIRIDIS})`;
      name.append(element("i", {class: "dim"}, strip), element("i", {class: "dim"}, `${number(10 ** low)} to ${number(10 ** high)}`), element("i", {class: "dim"}, "first layer on top"));
    }

    // What follows the axis: lanes, heights, the sentence beside the tools.
    moved() {
      if (this.pending) return;
      this.pending = requestAnimationFrame(() => {
        this.pending = 0;
        const {start, end} = this.x;
        for (const {mark, first, last} of this.marks) {
          mark.style.left = `${(first - start) / (end - start) * 100}%`;
          mark.style.width = `${(last - first) / (end - start) * 100}%`;
          mark.hidden = last < start || first > end;
        }
        for (const row of this.rows) this.fit(row, start, end);
        const shown = this.steps ? `steps ${whole(Math.max(start, this.first))} to ${whole(Math.min(end, this.last))}` : "";
        this.told.textContent = shown;
        this.told.dataset.range = `${start} ${end}`;
        this.hide();
      });
    }

    fit(row, start, end) {
      const [low, high] = this.height(row.panel, start, end) ?? [0, 1];
      row.y.setv({start: low, end: high});
      const ticks = roundTicks(low, high, Math.max(2, Math.round(row.panel.height / 36)), row.panel.log);
      const label = value => row.panel.percent ? `${number(value * 100)} %` : number(value);
      row.plot.yaxis.major_label_overrides = new Map(ticks.map(value => [value, label(value)]));
      row.ticker.ticks = ticks;
      if (!row.across) return;
      const places = roundTicks(start, end, 8, true);
      row.plot.xaxis.major_label_overrides = new Map(places.map(value => [value, number(value)]));
      row.across.ticks = places;
    }

    // From where to where a panel has to reach to show what lies between two steps.
    height(panel, start, end) {
      if (panel.heat) return [0, panel.heat.names.length];
      if (panel.percent) return [0, panel.top * 1.02];
      let low = Infinity, high = -Infinity;
      for (const {x, y: values} of panel.lines) {
        // One point beyond either side belongs to the line that is seen.
        const from = Math.max(bisect(x, start) - 1, 0), to = Math.min(bisect(x, end) + 1, x.length);
        for (let i = from; i < to; i++) {
          const value = values[i];
          if (panel.log && value <= 0) continue;
          if (value < low) low = value;
          if (value > high) high = value;
        }
      }
      if (!(low <= high)) return null;
      for (const [value] of panel.levels) {
        if (low > 0 && value > low / 30 && value < high * 30) { low = Math.min(low, value); high = Math.max(high, value); }
      }
      if (panel.log) {
        const margin = Math.max((high / low) ** .06, 1.05);
        return [low / margin, high * margin];
      }
      const margin = (high / 2 - low / 2) * .12 || Math.abs(high) * .05 || 1;
      return [low >= 0 && low < margin ? 0 : low - margin, high + margin];
    }

    go(start, end) {
      const least = this.steps ? 4 : (this.whole[1] - this.whole[0]) * 1e-6;
      if (end - start < least) [start, end] = [(start + end - least) / 2, (start + end + least) / 2];
      const [low, high] = this.whole;
      if (end - start >= high - low) [start, end] = [low, high];
      else if (start < low) [start, end] = [low, low + end - start];
      else if (end > high) [start, end] = [high - (end - start), high];
      this.x.setv({start, end});
    }

    zoom(factor) {
      const {start, end} = this.x, log = this.data.x.log;
      const [a, b] = log ? [Math.log(start), Math.log(end)] : [start, end];
      const middle = this.at !== undefined && this.at > start && this.at < end ? (log ? Math.log(this.at) : this.at) : (a + b) / 2;
      const next = [middle - (middle - a) * factor, middle + (b - middle) * factor];
      this.go(...(log ? next.map(Math.exp) : next));
    }

    pan(share) {
      const {start, end} = this.x;
      if (this.data.x.log) {
        const factor = (end / start) ** share;
        return this.go(start * factor, end * factor);
      }
      this.go(start + (end - start) * share, end + (end - start) * share);
    }

    // To a stretch, with room around it, and the cursor at its beginning.
    goTo(first, last = first) {
      const size = this.last - this.first;
      const room = Math.max((last - first) * .6, Math.min(size * .01, 200), 10);
      this.go(first - room, last + room);
      this.figure.scrollIntoView({block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
      setTimeout(() => this.read(first, 0, null), STILL_FOR);
    }

    frame(row) {
      const box = row.view?.frame?.bbox;
      return box ? {left: box.left, width: box.width, top: box.top, height: box.height} : {left: LEFT, width: 1, top: 0, height: 1};
    }

    share(value) {
      const {start, end} = this.x;
      return this.data.x.log ? Math.log(value / start) / Math.log(end / start) : (value - start) / (end - start);
    }

    value(share) {
      const {start, end} = this.x;
      return this.data.x.log ? start * (end / start) ** share : start + share * (end - start);
    }

    listen() {
      const inside = event => {
        const row = this.rows.findIndex(({place}) => {
          const box = place.getBoundingClientRect();
          return event.clientY >= box.top && event.clientY < box.bottom && event.clientX >= box.left && event.clientX < box.right;
        });
        if (row < 0) return null;
        const box = this.rows[row].place.getBoundingClientRect(), frame = this.frame(this.rows[row]);
        const share = (event.clientX - box.left - frame.left) / frame.width;
        return share < 0 || share > 1 ? null : {row, share, y: (event.clientY - box.top - frame.top) / frame.height};
      };
      const follow = event => {
        if (this.held) return;
        const at = inside(event);
        if (!at) return this.hide();
        const {step} = this.snap(at);
        this.read(step, at.row, at);
      };
      this.live.addEventListener("pointermove", follow);
      this.live.addEventListener("click", follow);
      // A finger covers what it points at, so what it read stays when it is lifted.
      this.live.addEventListener("pointerleave", event => event.pointerType === "touch" || this.hide());
      if (coarse) this.pinch();
      // Shift takes the drag from zooming to moving.
      const drag = kind => this.rows.forEach(({plot}) => {
        const tool = plot.toolbar.tools.find(one => one instanceof kind);
        if (tool) plot.toolbar.active_drag = tool, plot.toolbar.tools.forEach(one => {
          if (one instanceof Bokeh.PanTool || one instanceof Bokeh.BoxZoomTool) one.active = one === tool;
        });
      });
      this.live.addEventListener("pointerenter", event => drag(event.shiftKey ? Bokeh.PanTool : Bokeh.BoxZoomTool));
      this.live.addEventListener("pointermove", event => {
        if (event.buttons || event.shiftKey === this.shifted) return;
        this.shifted = event.shiftKey;
        drag(event.shiftKey ? Bokeh.PanTool : Bokeh.BoxZoomTool);
      });
      this.live.addEventListener("keydown", event => this.key(event));
    }

    // Two fingers hold on to the places of the axis that they touch.
    pinch() {
      const places = touches => {
        const box = this.rows[0].place.getBoundingClientRect(), frame = this.frame(this.rows[0]);
        return [...touches].map(touch => (touch.clientX - box.left - frame.left) / frame.width);
      };
      const scale = this.data.x.log ? [Math.log, Math.exp] : [v => v, v => v];
      const hold = event => {
        const two = event.touches.length === 2 && [...event.touches].every(touch => touch.target.closest(".place"));
        this.held = two ? places(event.touches).map(share => scale[0](this.value(share))) : null;
        if (two) this.hide();
      };
      this.live.addEventListener("touchstart", hold, {passive: true});
      for (const end of ["touchend", "touchcancel"]) this.live.addEventListener(end, hold, {passive: true});
      this.live.addEventListener("touchmove", event => {
        if (!this.held || event.touches.length !== 2) return;
        event.preventDefault();
        const [left, right] = places(event.touches), [a, b] = this.held;
        const size = (b - a) / (right - left);
        // Fingers above each other say nothing of the axis, and crossed ones would turn it round.
        if (Math.abs(right - left) < .03 || !(size > 0)) return;
        this.go(scale[1](a - size * left), scale[1](a + size * (1 - left)));
      }, {passive: false});
    }

    key(event) {
      if (event.target !== this.live || event.ctrlKey || event.metaKey || event.altKey) return;
      const actions = {
        "+": () => this.zoom(.5), "-": () => this.zoom(2), "0": () => this.go(...this.whole), Home: () => this.go(...this.whole),
        PageUp: () => this.pan(-.5), PageDown: () => this.pan(.5), ArrowLeft: () => this.move(-1), ArrowRight: () => this.move(1),
      };
      const action = actions[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    }

    // The cursor to the next point of the first line that has one.
    move(by) {
      const line = this.data.panels.flatMap(panel => panel.lines)[0];
      if (!line) return;
      const {start, end} = this.x;
      let place = this.at === undefined || this.at < start || this.at > end ? bisect(line.x, start) : bisect(line.x, this.at) + by;
      place = Math.min(Math.max(place, 0), line.x.length - 1);
      const step = line.x[place];
      if (step < start || step > end) this.pan(by * .5);
      const speak = () => {
        this.read(step, 0, null);
        this.said.textContent = this.tip.innerText.replace(/\n+/g, "; ");
      };
      setTimeout(speak, step < start || step > end ? STILL_FOR : 0);
    }

    // The point nearest to the pointer in its panel; a thinned curve has it at the true step of an extreme.
    snap({row, share, y}) {
      const {panel, y: range} = this.rows[row], frame = this.frame(this.rows[row]);
      const here = this.value(share);
      let best = Infinity, step = this.steps ? Math.round(here) : here;
      const width = this.value(Math.min(share + NEAR / frame.width, 1)) - this.value(Math.max(share - NEAR / frame.width, 0));
      for (const line of panel.lines) {
        const from = Math.max(bisect(line.x, here - width) - 1, 0), to = Math.min(bisect(line.x, here + width) + 1, line.x.length);
        for (let i = from; i < to; i++) {
          const dx = (this.share(line.x[i]) - share) * frame.width;
          const up = panel.log ? Math.log(line.y[i] / range.start) / Math.log(range.end / range.start) : (line.y[i] - range.start) / (range.end - range.start);
          const dy = (1 - up - y) * frame.height;
          // Left and right count more than up and down.
          const distance = dx * dx + dy * dy / 16;
          if (distance < best) { best = distance; step = line.x[i]; }
        }
      }
      return {step};
    }

    read(step, row, pointer) {
      this.at = step;
      const frame = this.frame(this.rows[row]), box = this.rows[row].place.getBoundingClientRect(), mine = this.live.getBoundingClientRect();
      const share = this.share(step);
      if (share < -.001 || share > 1.001) return this.hide();
      const x = box.left - mine.left + frame.left + share * frame.width;
      const below = this.live.querySelector(".bar-of-tools").offsetHeight;
      Object.assign(this.cursor.style, {left: `${x}px`, top: `${below}px`});
      this.cursor.hidden = false;
      const lines = [element("b", {}, `${this.steps ? "step " + whole(step) : this.data.x.title + " " + number(step)}`)];
      for (const panel of this.data.panels) {
        for (const line of panel.lines) {
          const found = this.nearest(line, step);
          if (found === null) continue;
          const away = line.x[found] !== step && this.steps ? ` (step ${whole(line.x[found])})` : "";
          const value = panel.percent ? `${number(line.y[found] * 100)} %` : number(line.y[found]);
          lines.push(element("div", {}, element("span", {class: line.tone}, `${line.name}: `), value + away));
        }
        for (const [first, last, , name] of panel.bars) if (step >= first && step <= last) lines.push(element("div", {}, name));
        if (panel.heat) lines.push(...this.layer(panel.heat, step, pointer && this.rows[pointer.row].panel === panel ? pointer.y : null));
        if (panel.bad.includes(step)) lines.push(element("div", {class: "error"}, `${panel.title}: NaN or infinity`));
      }
      const slack = Math.abs(this.value(Math.min(share + 3 / frame.width, 1)) - step);
      for (const [first, last, lane, text, tone] of this.data.bands) {
        if (step >= first - slack && step <= last + slack && lines.length < 24) lines.push(element("p", {class: tone}, `${lane}: ${text}`));
      }
      this.tip.replaceChildren(...lines);
      this.tip.hidden = false;
      const top = pointer ? box.top - mine.top + pointer.y * frame.height : below;
      const left = x > mine.width / 2 ? x - this.tip.offsetWidth - 14 : x + 14;
      Object.assign(this.tip.style, {left: `${Math.max(left, 0)}px`, top: `${Math.max(0, Math.min(top, mine.height - this.tip.offsetHeight))}px`});
    }

    // The place of the point of a line that a step is read from: nearest, and not far from it on the screen.
    nearest(line, step) {
      if (!line.x.length) return null;
      let place = Math.min(bisect(line.x, step), line.x.length - 1);
      if (line.style === "steps") return line.x[place] === step || place === 0 ? place : place - 1;
      if (place > 0 && step - line.x[place - 1] < line.x[place] - step) place--;
      const near = Math.abs(this.share(line.x[place]) - this.share(step)) < .012;
      return line.style === "dots" && line.name === "clipped" ? (line.x[place] === step ? place : null) : near || line.x[place] === step ? place : null;
    }

    layer(heat, step, y) {
      const columns = heat.edge.length - 1, rows = heat.names.length;
      const column = Math.min(Math.max(bisect(heat.edge, step + 1e-9) - 1, 0), columns - 1);
      const value = row => heat.value[row * columns + column];
      if (y !== null && y >= 0 && y < 1) {
        const row = Math.min(Math.floor(y * rows), rows - 1);
        const text = Number.isNaN(value(row)) ? "not logged" : number(value(row));
        return [element("div", {}, `${heat.names[row]}: ${text}`)];
      }
      let largest = -1;
      for (let row = 0; row < rows; row++) if (value(row) > (largest < 0 ? -Infinity : value(largest))) largest = row;
      return largest < 0 ? [] : [element("div", {}, `largest layer: ${heat.names[largest]}, ${number(value(largest))}`)];
    }

    hide() {
      this.cursor.hidden = this.tip.hidden = true;
    }
  }

  const draw = async figure => {
    const key = figure.dataset.picture, block = document.getElementById(`data-${key}`);
    if (!block || pictures.has(key)) return pictures.get(key);
    const made = new Picture(figure, JSON.parse(block.textContent));
    pictures.set(key, made);
    await made.show();
    return made;
  };

  // A picture is drawn when it comes near the screen; those in closed parts of the page wait.
  const seen = new IntersectionObserver(entries => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, {rootMargin: "400px"});
  document.querySelectorAll("figure[data-picture]").forEach(figure => seen.observe(figure));

  const lead = (place, first, last) => {
    const figure = document.querySelector(`figure[data-picture="${CSS.escape(place.dataset.of)}"]`);
    if (figure) draw(figure).then(picture => picture.goTo(first, last));
  };
  document.querySelectorAll("span.step[data-of]").forEach(place => {
    const step = Number(place.dataset.step);
    const button = element("button", {type: "button", class: "step", title: "Show this step in the picture"}, place.textContent);
    button.addEventListener("click", () => lead(place, step, step));
    place.replaceWith(button);
  });
  document.querySelectorAll("span.go[data-of]").forEach(place => {
    const button = element("button", {type: "button", class: "step go"}, "Show in the picture");
    button.addEventListener("click", () => lead(place, Number(place.dataset.first), Number(place.dataset.last)));
    place.replaceWith(button);
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const picture of pictures.values()) picture.show();
  });
})();

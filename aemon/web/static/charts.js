// The charts of a monitor: scores with their thresholds, and the columns of flagged records.
"use strict";
(() => {
  const place = document.getElementById("score-chart");
  if (!place) {
    return;
  }
  const note = document.getElementById("chart-note");
  const usual = note.textContent;
  const marks = JSON.parse(place.dataset.marks);
  const columns = JSON.parse(place.dataset.columns);
  const monitor = place.dataset.monitor;
  const whole = [Number(place.dataset.until) - Number(place.dataset.span), Number(place.dataset.until)];
  const smalls = [...document.querySelectorAll("[data-column]")];
  const STEEP = 20; // largest score, in thresholds, above which the scale becomes logarithmic
  const GAP = 3; // buckets without records that break a line
  const WAIT = 250; // milliseconds without a change of the range before data are requested
  let range = [...whole];
  let chart = null;
  let little = [];
  let asked = 0;
  let timer = 0;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colours = () => Object.fromEntries(
    ["text", "quiet", "rule", "accent", "warning", "bad", "h4"].map((name) => [name, css(`--${name}`)]));

  function address([from, to]) {
    const wide = Math.max(200, Math.min(2000, Math.round(place.clientWidth * 2)));
    const query = new URLSearchParams({
      from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString(), points: wide,
    });
    if (place.dataset.entity) {
      query.set("entity", place.dataset.entity);
    }
    for (const column of columns) {
      query.append("column", column);
    }
    return `/api/v1/series/${monitor.split("/").map(encodeURIComponent).join("/")}?${query}`;
  }

  // The buckets as aligned arrays, with nulls where records are missing.
  function aligned(series) {
    const rows = [[], [], [], []];
    const pause = series.times.length > 1
      ? Math.max(GAP * series.bucket_seconds, GAP * median(series.times)) : Infinity;
    series.times.forEach((time, at) => {
      const last = rows[0].at(-1);
      if (last !== undefined && time - last > pause) {
        rows.forEach((row, of) => row.push(of ? null : last + pause / 2));
      }
      rows[0].push(time);
      rows[1].push(series.score_max[at]);
      rows[2].push(series.score_min[at]);
      rows[3].push(series.threshold_max[at]);
    });
    const points = series.points.filter((point) => point.verdict === "anomaly");
    return uPlot.join([rows, [points.map((point) => Date.parse(point.time) / 1000),
      points.map((point) => point.score)]].map(unique));
  }

  function median(times) {
    const steps = times.slice(1).map((time, at) => time - times[at]).sort((a, b) => a - b);
    return steps[Math.floor(steps.length / 2)];
  }

  // uPlot joins by ascending times: of equal times, the last is kept.
  function unique(rows) {
    const kept = rows[0].map((time, at) => time !== rows[0][at + 1]);
    return rows.map((row) => row.filter((_, at) => kept[at]));
  }

  function shade(drawn) {
    const { ctx, bbox } = drawn;
    const colour = colours();
    const at = (time) => Math.max(bbox.left, Math.min(bbox.left + bbox.width, drawn.valToPos(time, "x", true)));
    ctx.save();
    for (const [since, until, severity] of marks.episodes) {
      ctx.globalAlpha = 0.22;
      ctx.fillStyle = severity === "critical" ? colour.bad : colour.h4;
      const left = at(since);
      if (until >= drawn.scales.x.min && since <= drawn.scales.x.max) {
        ctx.fillRect(left, bbox.top, Math.max(2, at(until) - left), bbox.height);
      }
    }
    for (const [since, until] of marks.snoozes) {
      ctx.globalAlpha = 0.15;
      ctx.fillStyle = colour.quiet;
      ctx.fillRect(at(since), bbox.top, at(until) - at(since), bbox.height);
    }
    ctx.globalAlpha = 1;
    ctx.fillStyle = ctx.strokeStyle = colour.quiet;
    ctx.font = `${11 * devicePixelRatio}px system-ui`;
    for (const [time, version] of marks.detectors) {
      if (time > drawn.scales.x.min && time < drawn.scales.x.max) {
        ctx.setLineDash([2, 3]);
        ctx.beginPath();
        ctx.moveTo(at(time), bbox.top);
        ctx.lineTo(at(time), bbox.top + bbox.height);
        ctx.stroke();
        if (drawn.root.parentElement === place) {
          const left = at(time) < bbox.left + bbox.width * 0.9;
          ctx.textAlign = left ? "left" : "right";
          ctx.fillText(`detector ${version}`, at(time) + (left ? 4 : -4), bbox.top + 12 * devicePixelRatio);
        }
      }
    }
    ctx.restore();
  }

  // Times of the axis: hours while they fit, and the date where it changes.
  function moments(_, times, _axis, _space, step) {
    let day = "";
    return times.map((time) => {
      const moment = new Date(time * 1000);
      const date = moment.toLocaleDateString("sv-SE");
      const hour = moment.toLocaleTimeString("sv-SE", step < 60 ? {} : { hour: "2-digit", minute: "2-digit" });
      const shown = date === day ? hour : step < 86400 ? `${hour}\n${date}` : date;
      day = date;
      return shown;
    });
  }

  // Time and height; a steep scale has marks at the threshold and at its tenfold, and so on.
  function axes(colour, steep = 0) {
    const line = { stroke: colour.quiet, grid: { stroke: colour.rule, width: 1 }, ticks: { stroke: colour.rule } };
    const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
    const numbers = (_, values) => values.map((value) => short.format(value));
    const tens = steep && (() => [0, ...[...Array(9).keys()].map((power) => steep * 10 ** power)]);
    return [
      { ...line, values: moments, space: 90 },
      { ...line, size: 60, values: numbers, ...(tens ? { splits: tens, filter: (_chart, marked) => marked } : {}) },
    ];
  }

  // A few scores far above the threshold would press all others flat: such a scale is logarithmic
  // above the threshold, and linear below.
  function heights(series) {
    const known = (values) => values.filter((value) => value !== null);
    const most = Math.max(0, ...known(series.score_max));
    const threshold = Math.max(0, ...known(series.threshold_max));
    return threshold > 0 && most > STEEP * threshold ? { distr: 4, asinh: threshold } : {};
  }

  const digits = (_, value) => value === null || value === undefined ? "" : Number(value).toPrecision(4);

  function draw(series) {
    const colour = colours();
    const data = aligned(series);
    const height = heights(series);
    chart?.destroy();
    place.replaceChildren();
    chart = new uPlot({
      width: place.clientWidth, height: 320,
      scales: { x: { time: true, range: () => range }, y: height },
      axes: axes(colour, height.asinh),
      series: [
        {},
        { label: "largest score", stroke: colour.accent, width: 1.5, value: digits, points: { show: false } },
        { label: "smallest score", stroke: colour.accent, width: 0.5, value: digits, points: { show: false } },
        { label: "threshold", stroke: colour.warning, dash: [6, 4], width: 1.5, value: digits, points: { show: false } },
        { label: "flagged", stroke: colour.bad, fill: colour.bad, value: digits, paths: () => null,
          points: { show: true, size: 7, fill: colour.bad, stroke: colour.bad } },
      ],
      bands: [{ series: [1, 2], fill: `${colour.accent}33` }],
      cursor: { drag: { x: true, y: false, uni: 10 } },
      hooks: { drawClear: [shade], setSelect: [chosen] },
    }, data, place);
    chart.over.addEventListener("dblclick", () => go(whole));
    drawColumns(series, colour);
    const left = series.points_left_out ? ` ${series.points_left_out} flagged records are not drawn.` : "";
    note.textContent = series.times.length ? usual + left : "No records in this time.";
    place.dataset.ready = String(series.times.length);
  }

  function chosen(drawn) {
    if (drawn.select.width > 4) {
      const from = drawn.posToVal(drawn.select.left, "x");
      const to = drawn.posToVal(drawn.select.left + drawn.select.width, "x");
      drawn.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      go([from, to]);
    }
  }

  function drawColumns(series, colour) {
    little.forEach((each) => each.destroy());
    little = smalls.map((small) => {
      const column = small.dataset.column;
      const points = series.points.filter((point) => typeof point.observed[column] === "number" ||
        typeof point.expected[column] === "number");
      small.parentElement.hidden = !points.length;
      const pick = (kind) => points.map((point) =>
        typeof point[kind][column] === "number" ? point[kind][column] : null);
      const rows = unique([points.map((point) => Date.parse(point.time) / 1000), pick("observed"), pick("expected")]);
      small.replaceChildren();
      const dots = (label, filled) => ({
        label, stroke: filled ? colour.bad : colour.accent, value: digits, paths: () => null,
        points: { show: true, size: 6, width: 1.5, fill: filled ? colour.bad : css("--ground") },
      });
      return new uPlot({
        width: small.clientWidth, height: 150,
        scales: { x: { time: true, range: () => range } },
        axes: axes(colour), legend: { live: false },
        series: [{}, dots("observed", true), dots("expected", false)],
        hooks: { drawClear: [shade] },
      }, rows, small);
    });
  }

  async function load() {
    const turn = ++asked;
    note.textContent = "Loading …";
    try {
      const answer = await fetch(address(range), { headers: { Accept: "application/json" } });
      const body = await answer.json();
      if (turn !== asked) {
        return;
      }
      if (!answer.ok) {
        throw new Error(body.detail || answer.statusText);
      }
      draw(body);
    } catch (error) {
      note.textContent = `The chart could not be loaded: ${error.message}`;
    }
  }

  function go([from, to], wait = 0) {
    if (to - from < 1) {
      return;
    }
    range = [from, to];
    chart?.setScale("x", { min: from, max: to });
    little.forEach((each) => each.setScale("x", { min: from, max: to }));
    clearTimeout(timer);
    timer = setTimeout(load, wait);
  }

  const length = () => range[1] - range[0];
  const moves = {
    earlier: () => go([range[0] - length() / 2, range[1] - length() / 2], WAIT),
    later: () => go([range[0] + length() / 2, range[1] + length() / 2], WAIT),
    in: () => go([range[0] + length() / 4, range[1] - length() / 4], WAIT),
    out: () => go([range[0] - length() / 2, range[1] + length() / 2], WAIT),
    reset: () => go(whole),
  };
  const keys = { ArrowLeft: "earlier", ArrowRight: "later", "+": "in", "=": "in", "-": "out", 0: "reset" };
  place.addEventListener("keydown", (event) => {
    if (event.key in keys && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      moves[keys[event.key]]();
    }
  });
  for (const button of document.querySelectorAll("button[data-chart]")) {
    button.addEventListener("click", moves[button.dataset.chart]);
  }
  addEventListener("resize", () => {
    chart?.setSize({ width: place.clientWidth, height: 320 });
    little.forEach((each, at) => each.setSize({ width: smalls[at].clientWidth, height: 150 }));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", load);
  load();
})();

// Draws the charts of a page from the JSON in it. Asks for nothing and writes texts as texts.
'use strict';
(() => {
  const page = document.documentElement;
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const places = [...document.querySelectorAll('[data-chart]')];
  const dashes = [undefined, [8, 4], [2, 3], [8, 3, 2, 3]];
  const HEIGHT = 210, PRINTED_WIDTH = 310, FONT = '12px system-ui, sans-serif';
  let drawn = [], isLogarithmic = false;

  const css = (name) => getComputedStyle(page).getPropertyValue(name).trim();
  const colourOf = (line) => css(`--c${line.colour}`) + (line.pale ? 'b0' : '');
  const values = (chart) => chart.lines.flatMap((line) => line.y.filter((y) => y !== null));
  const isPositive = (chart) => values(chart).every((y) => y > 0) && values(chart).length > 0;

  function shown(value) {
    if (value === null || value === undefined) return '-';
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
    return Number(value.toPrecision(5)).toLocaleString('en', {maximumSignificantDigits: 5});
  }

  function series(line) {
    return {
      label: line.name,
      stroke: () => colourOf(line),
      width: line.pale ? 1.2 : 1.8,
      dash: dashes[line.dash],
      points: {show: line.x.length <= 25, size: 5},
      value: (_, value) => shown(value),
    };
  }

  function axis(isSteps) {
    const own = isSteps
      ? {label: 'step', labelSize: 16, labelFont: FONT, space: 60, size: 26,
         values: (_, splits) => splits.map((v) => v.toLocaleString('en'))}
      : {size: (_, texts) => 14 + 6.8 * Math.max(3, ...(texts || []).map((t) => (t || '').length)),
         values: (_, splits) => splits.map((v) => (v === null ? '' : shown(v)))};
    return {
      ...own, font: FONT,
      stroke: () => css('--soft'),
      grid: {stroke: () => css('--line'), width: 1},
      ticks: {stroke: () => css('--line'), width: 1, size: 5},
    };
  }

  function showLast(plot) {  // without a pointer over it, a chart's legend has the last values
    plot.setLegend({idxs: plot.data.map(lastIndex)});
  }

  function lastIndex(values) {
    let i = values.length - 1;
    while (i > 0 && (values[i] === null || values[i] === undefined)) i -= 1;
    return i;
  }

  function draw(place) {
    const chart = charts[Number(place.dataset.chart)];
    const data = uPlot.join(chart.lines.map((line) => [line.x, line.y]));
    const distribution = isLogarithmic && isPositive(chart) ? {distr: 3} : {};
    const options = {
      width: place.clientWidth || PRINTED_WIDTH,
      height: HEIGHT,
      scales: {x: {time: false}, y: distribution},
      series: [{label: 'step', value: (_, v) => (v === null ? '-' : v.toLocaleString('en'))},
               ...chart.lines.map(series)],
      axes: [axis(true), axis(false)],
      cursor: {y: false, sync: {key: 'step'}, drag: {x: true, y: false}, points: {size: 6}},
      hooks: {
        draw: [() => { place.dataset.drawn = 'yes'; count(); }],
        ready: [showLast],
        setCursor: [(plot) => { if (plot.cursor.idx === null) showLast(plot); }],
      },
    };
    place.replaceChildren();
    return new uPlot(options, data, place);
  }

  function count() {
    page.dataset.drawn = document.querySelectorAll('[data-drawn=yes].plot').length;
  }

  function drawAll() {
    drawn.forEach((plot) => plot.destroy());
    drawn = places.map(draw);
  }

  function resize(width) {
    drawn.forEach((plot, i) => {
      const wanted = width || places[i].clientWidth;
      if (wanted && wanted !== plot.width) plot.setSize({width: wanted, height: HEIGHT});
    });
  }

  function prepareToPrint() {
    page.dataset.print = '';
    document.querySelectorAll('details:not([open])').forEach((part) => {
      part.open = true;
      part.dataset.folded = '';
    });
    resize(PRINTED_WIDTH);
    drawn.forEach((plot) => plot.redraw());
  }

  function returnToScreen() {
    delete page.dataset.print;
    document.querySelectorAll('[data-folded]').forEach((part) => {
      part.open = false;
      delete part.dataset.folded;
    });
    resize();
    drawn.forEach((plot) => plot.redraw());
  }

  const choice = document.getElementById('logarithmic');
  if (choice) {
    choice.closest('.choices').hidden = !charts.some(isPositive);
    choice.addEventListener('change', () => { isLogarithmic = choice.checked; drawAll(); });
  }
  drawAll();
  new ResizeObserver(() => resize()).observe(document.body);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  addEventListener('beforeprint', prepareToPrint);
  addEventListener('afterprint', returnToScreen);
})();

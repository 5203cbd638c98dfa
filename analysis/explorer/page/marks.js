// The marks of the variants, as in the figures of the report, and the colours of the map.

const CORNERS = { s: [4, 45], D: [4, 0], "^": [3, -90], v: [3, 90], "<": [3, 180], ">": [3, 0], p: [5, -90], h: [6, -90] };
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];

// Add the outline of a marker of matplotlib to a path; r is its radius.
function outline(path, marker, x, y, r) {
  if (marker in CORNERS) {
    const [corners, turn] = CORNERS[marker];
    polygon(path, x, y, Array(corners).fill(marker === "s" ? 1.25 * r : 1.15 * r), turn);
  } else if (marker === "*") {
    polygon(path, x, y, Array.from({ length: 10 }, (_, k) => (k % 2 ? 0.55 : 1.35) * r), -90);
  } else if (marker === "P" || marker === "X") {
    const turn = marker === "P" ? 0 : 45, long = 1.2 * r, wide = 0.42 * r;
    const corners = [[wide, wide], [long, wide], [long, -wide], [wide, -wide]];
    for (let k = 0, first = true; k < 4; k++) {
      for (const [dx, dy] of corners.slice(1, 4)) {
        const angle = (turn - 90 * k) * Math.PI / 180;
        const px = x + dx * Math.cos(angle) - dy * Math.sin(angle), py = y + dx * Math.sin(angle) + dy * Math.cos(angle);
        first ? path.moveTo(px, py) : path.lineTo(px, py);
        first = false;
      }
    }
    path.closePath();
  } else {
    path.moveTo(x + r, y);
    path.arc(x, y, r, 0, 2 * Math.PI);
  }
}

function polygon(path, x, y, radii, turn) {
  radii.forEach((r, k) => {
    const angle = (turn + 360 * k / radii.length) * Math.PI / 180;
    const place = [x + r * Math.cos(angle), y + r * Math.sin(angle)];
    k ? path.lineTo(...place) : path.moveTo(...place);
  });
  path.closePath();
}

// Return a small picture of a mark, drawn once and used for every trial.
function sprite(variant, filled, ratio) {
  const canvas = element("canvas", { width: 16 * ratio, height: 16 * ratio }), pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.beginPath();
  outline(pen, variant.marker, 8, 8, 3.6);
  pen.fillStyle = filled ? variant.colour : "#fff";
  pen.globalAlpha = filled ? 0.85 : 0.55;
  pen.fill();
  pen.globalAlpha = 0.95;
  pen.strokeStyle = filled ? darker(variant.colour, 0.55) : darker(variant.colour, 0.85);
  pen.lineWidth = filled ? 0.7 : 1.2;
  pen.stroke();
  return canvas;
}

// Return the mark of a variant as an SVG image beside its name.
function markOf(variant) {
  const commands = [];
  const path = {
    moveTo: (x, y) => commands.push(`M${x.toFixed(2)} ${y.toFixed(2)}`),
    lineTo: (x, y) => commands.push(`L${x.toFixed(2)} ${y.toFixed(2)}`),
    closePath: () => commands.push("Z"),
    arc: (x, y, r) => commands.push(`M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`),
  };
  outline(path, variant.marker, 7, 7, 4.4);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [name, value] of Object.entries({ width: 14, height: 14, "aria-hidden": true })) svg.setAttribute(name, value);
  const look = { d: commands.join(""), fill: variant.colour, stroke: darker(variant.colour, 0.55), "stroke-width": 0.8 };
  for (const [name, value] of Object.entries(look)) shape.setAttribute(name, value);
  svg.append(shape);
  return svg;
}

const parts = colour => [1, 3, 5].map(place => parseInt(colour.slice(place, place + 2), 16));

function darker(colour, share) {
  return `rgb(${parts(colour).map(part => Math.round(part * share)).join(",")})`;
}

// Return the background for a share between 0 and 1, and the ink that can be read on it.
function heat(share) {
  const place = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1), below = Math.min(Math.floor(place), CIVIDIS.length - 2);
  const [a, b] = [parts(CIVIDIS[below]), parts(CIVIDIS[below + 1])];
  const mixed = a.map((part, k) => Math.round(part + (b[k] - part) * (place - below)));
  const light = mixed.map(part => (part / 255) ** 2.2).reduce((sum, part, k) => sum + part * [0.2126, 0.7152, 0.0722][k], 0);
  return { background: `rgb(${mixed.join(",")})`, ink: light > 0.19 ? "#111" : "#fff" };
}

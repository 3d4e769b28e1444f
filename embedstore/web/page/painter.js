/** Draw many points by writing pixels. Colours are 32-bit numbers, as an `ImageData` has them. */

/** Return a colour such as "#0072B2" as a 32-bit number: alpha, blue, green, red. */
export function packed(colour) {
  const value = Number.parseInt(colour.slice(1), 16);
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/** Return the pixels of a disc: their places beside its middle, and how much of each is covered, up to 256. */
function disc(radius) {
  const reach = Math.ceil(radius);
  const dx = [], dy = [], cover = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const part = Math.min(1, radius + 0.5 - Math.hypot(x, y));
      if (part > 0.1) {
        dx.push(x);
        dy.push(y);
        cover.push(Math.round(part * 256));
      }
    }
  }
  return { dx: Int16Array.from(dx), dy: Int16Array.from(dy), cover: Int16Array.from(cover), reach };
}

/** Mix a colour into another: `part` of 256. */
function mixed(under, over, part) {
  const rest = 256 - part;
  const redBlue = (((over & 0xff00ff) * part + (under & 0xff00ff) * rest) >>> 8) & 0xff00ff;
  const green = (((over & 0xff00) * part + (under & 0xff00) * rest) >>> 8) & 0xff00;
  return (0xff000000 | redBlue | green) >>> 0;
}

/** Draw a disc around a pixel. */
function stamp(pixels, width, at, shape, colour) {
  const { dx, dy, cover } = shape;
  for (let one = 0; one < cover.length; one++) {
    const place = at + dy[one] * width + dx[one];
    pixels[place] = cover[one] === 256 ? colour : mixed(pixels[place], colour, cover[one]);
  }
}

/** Return whether a row's bit is set. */
export function isShown(mask, row) {
  return mask === null || ((mask[row >> 3] >> (row & 7)) & 1) === 1;
}

/** Return how many bits are set. */
export function shownIn(mask) {
  let count = 0;
  for (let byte of mask) for (; byte; byte &= byte - 1) count += 1;
  return count;
}

/**
 * Draw the points: first those that are left out, then the others over them.
 * @param {ImageData} image What is drawn on.
 * @param {Float32Array} points x and y of each row in turn; NaN for a row without a place.
 * @param {{x: number, y: number, scale: number}} view The place in the middle, and pixels for a unit.
 * @param {{mask: Uint8Array|null, codes: Int16Array|null, colours: Uint32Array, none: number, out: number,
 *   ground: number, radius: number, outRadius: number}} look `colours` by code; `none` for a row without a code, `out` for one left out.
 */
export function paint(image, points, view, look) {
  const pixels = new Uint32Array(image.data.buffer);
  pixels.fill(look.ground);
  if (look.mask) layer(image, pixels, points, view, look, false);
  layer(image, pixels, points, view, look, true);
}

/** Draw the points that are shown, or those that are not. */
function layer(image, pixels, points, view, look, wanted) {
  const { width, height } = image;
  const { mask, codes, colours, none, out } = look;
  const shape = disc(wanted ? look.radius : look.outRadius);
  const left = width / 2 - view.x * view.scale;
  const upper = height / 2 + view.y * view.scale;
  const { reach } = shape;
  for (let row = 0; row < points.length / 2; row++) {
    if (isShown(mask, row) !== wanted) continue;
    const x = Math.round(left + points[2 * row] * view.scale);
    const y = Math.round(upper - points[2 * row + 1] * view.scale);
    if (!(x >= reach && x < width - reach && y >= reach && y < height - reach)) continue; // NaN too
    const code = codes ? codes[row] : 0;
    stamp(pixels, width, y * width + x, shape, wanted ? (code < 0 ? none : colours[code]) : out);
  }
}

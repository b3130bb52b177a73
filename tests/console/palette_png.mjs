// A browser's PNG (8 bits, no interlacing) with a palette of 256 of its colours, which is a third of the bytes: pictures of
// a console are plain areas and the edges of letters.
import { deflateSync, inflateSync } from "node:zlib";

const kSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const kColours = 256;
const kRgb = 2;
const kRgba = 6;

const kCrcTable = Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = kCrcTable[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
  const framed = Buffer.alloc(data.length + 12);
  framed.writeUInt32BE(data.length, 0);
  framed.write(type, 4, "latin1");
  data.copy(framed, 8);
  framed.writeUInt32BE(crc32(framed.subarray(4, data.length + 8)), data.length + 8);
  return framed;
}

function chunksOf(png) {
  const chunks = [];
  for (let at = kSignature.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    chunks.push({ type: png.toString("latin1", at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return chunks;
}

function paeth(a, b, c) {
  const [toA, toB, toC] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  return toA <= toB && toA <= toC ? a : toB <= toC ? b : c;
}

// Undoes the rows' filters: what each byte was predicted from is added to it.
function unfilter(raw, stride, height, step) {
  const pixels = Buffer.alloc(stride * height);
  for (let y = 0; y < height; ++y) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; ++x) {
      const at = y * stride + x;
      const left = x >= step ? pixels[at - step] : 0;
      const up = y > 0 ? pixels[at - stride] : 0;
      const corner = x >= step && y > 0 ? pixels[at - stride - step] : 0;
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      pixels[at] = raw[y * (stride + 1) + 1 + x] + predicted;
    }
  }
  return pixels;
}

const distance = (a, b) => ((a >> 16) - (b >> 16)) ** 2 + (((a >> 8) & 255) - ((b >> 8) & 255)) ** 2 + ((a & 255) - (b & 255)) ** 2;

// One after the other, the colour that the picture would miss most: by how often it is there and how far it is from those
// chosen, so that a small icon keeps its hue.
function paletteOf(counts) {
  const away = new Map([...counts.keys()].map((colour) => [colour, Infinity]));
  const palette = [];
  for (let next = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a))[0]; palette.length < kColours && next !== undefined; ) {
    palette.push(next);
    let most = 0;
    const last = next;
    next = undefined;
    for (const [colour, before] of away) {
      const nearest = Math.min(before, distance(colour, last));
      away.set(colour, nearest);
      if (counts.get(colour) * nearest <= most) continue;
      most = counts.get(colour) * nearest;
      next = colour;
    }
  }
  return palette;
}

export function withPalette(png) {
  const chunks = chunksOf(png);
  const header = chunks.find(({ type }) => type === "IHDR").data;
  const [width, height, kind] = [header.readUInt32BE(0), header.readUInt32BE(4), header[9]];
  if (header[8] !== 8 || (kind !== kRgb && kind !== kRgba) || header[12] !== 0) throw new Error("this is no PNG as browsers make them");
  const step = kind === kRgb ? 3 : 4;
  const raw = inflateSync(Buffer.concat(chunks.filter(({ type }) => type === "IDAT").map(({ data }) => data)));
  const pixels = unfilter(raw, width * step, height, step);
  const colourAt = (index) => (pixels[index * step] << 16) | (pixels[index * step + 1] << 8) | pixels[index * step + 2];

  const counts = new Map();
  for (let index = 0; index < width * height; ++index) counts.set(colourAt(index), (counts.get(colourAt(index)) ?? 0) + 1);
  const palette = paletteOf(counts);
  const places = new Map(palette.map((colour, place) => [colour, place]));
  for (const colour of counts.keys()) {
    if (places.has(colour)) continue;
    const nearest = palette.reduce((best, candidate, place) => (distance(colour, candidate) < distance(colour, palette[best]) ? place : best), 0);
    places.set(colour, nearest);
  }

  const rows = Buffer.alloc((width + 1) * height);  // each row begins with its filter: none
  for (let y = 0; y < height; ++y) for (let x = 0; x < width; ++x) rows[y * (width + 1) + 1 + x] = places.get(colourAt(y * width + x));
  const indexed = Buffer.from(header);
  indexed[9] = 3;
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  const data = deflateSync(rows, { level: 9, memLevel: 9 });
  return Buffer.concat([kSignature, chunk("IHDR", indexed), chunk("PLTE", colours), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

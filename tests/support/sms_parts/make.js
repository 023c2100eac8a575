// Makes cases.json, the table that the parts of texts are held against: what another program says of them.
//
//     npm install sms-segments-calculator@1.3.0 && node make.js > cases.json
//
// A text is written as pieces, each with how often it stands there. That program keeps together what a reader takes
// for one character, so nothing here is made of several: no CR LF, no marks on letters, no flags, no families.
const { SegmentedMessage } = require('sms-segments-calculator');

let state = 20261130;
const below = (most) => { // the same numbers at every run
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return Math.floor((state / 2 ** 32) * most);
};
const texts = [];
for (const piece of ['a', 'é', 'Σ', '€', '^', '\f', 'ç', 'ж', '…', '\u00a0', '漢', '😀', '𝒳', '“']) {
  for (const times of [1, 69, 70, 71, 134, 135, 159, 160, 161, 305, 306, 307, 1000]) texts.push([[piece, times]]);
}
for (const [filler, wide] of [['a', '€'], ['a', '{'], ['ж', '😀'], ['a', '😀']]) {
  for (const before of [65, 66, 67, 68, 69, 132, 133, 134, 151, 152, 153, 154, 158, 159, 304, 305, 306, 458]) {
    texts.push([[filler, before], [wide, 1], [filler, 3]], [[filler, before], [wide, 80], [filler, 1]]);
  }
}
const pieces = ['a', 'Z', '0', ' ', '€', '~', '|', 'ñ', 'Ж', 'ї', 'ş', '—', '😀', '🚀', '\n'];
for (let i = 0; i < 120; i++) {
  const known = i % 2 ? pieces : pieces.slice(0, 8);
  texts.push(Array.from({ length: 1 + below(12) }, () => [known[below(known.length)], 1 + below(90)]));
}
const rows = texts.map((text) => {
  const message = new SegmentedMessage(text.map(([piece, times]) => piece.repeat(times)).join(''));
  return JSON.stringify([text, message.encodingName.toLowerCase(), message.segmentsCount]);
});
console.log(`[\n${rows.join(',\n')}\n]`);

// The state of the page in the address's fragment: a permalink.

const NUMBERS = { lat: 6, lon: 6, z: 2, o: 0, w: 3 };

/** Read the fragment: numbers lat, lon, z, o (opacity in %), w (place of the divider, 0 to 1), texts top, base and at ("lon,lat"). */
export function read() {
  const values = new URLSearchParams(location.hash.slice(1));
  const found = {};
  for (const name of Object.keys(NUMBERS)) {
    const value = Number.parseFloat(values.get(name));
    if (Number.isFinite(value)) found[name] = value;
  }
  for (const name of ["top", "base", "at"]) if (values.has(name)) found[name] = values.get(name);
  return found;
}

/** Write the fragment without a new entry in the history. Values that are undefined are left out. */
export function write(state) {
  const values = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value === undefined) continue;
    values.set(name, name in NUMBERS ? String(Number(value.toFixed(NUMBERS[name]))) : value);
  }
  history.replaceState(null, "", `#${values.toString().replaceAll("%2C", ",")}`);
}

// Whether a text is an amount to adjust by: dollars to the nano, else a whole number. The server gets the text itself.
export const isAmount = (text: string, dollars: boolean): boolean =>
  (dollars ? /^[+-]?\d{1,9}(\.\d{1,9})?$/ : /^[+-]?\d{1,15}$/).test(text.trim()) && /[1-9]/.test(text);

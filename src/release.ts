// The release this program is, as package.json says; a test compares the two.
export const RELEASE = '0.1.0';

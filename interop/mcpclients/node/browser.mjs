#!/usr/bin/env node
// The user's browser, to programs that start the one that BROWSER names: the user at the desk opens
// the page and goes where it sends the browser.
const page = encodeURIComponent(process.argv[2]);
const response = await fetch(`${process.env.DESK_URL}/visit?url=${page}`, { method: 'POST' });
if (!response.ok) {
  console.error(await response.text());
  process.exit(1);
}

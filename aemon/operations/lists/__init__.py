"""Lists of results in pages, for programs: each page names the cursor of the next page."""

"""The four corpora: names and labels of their files, and the selection of usable clips, from the raw folders to the manifest."""

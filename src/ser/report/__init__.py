"""What a report is made of: facts of a run, figures, sections, and the page and the model card from them."""

"""Who trains, who selects, who is tested, and the proof."""

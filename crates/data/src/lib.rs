//! Where samples come from: folders, tables, archives, known sets; splits and the loader.

//! Files that appear whole or not at all.

use std::{fs, io, path::Path};

/// Puts what `write` writes into the place of `path` in one step: it is written beside it, forced to the disk, then renamed.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    // Always the same name, so that what a killed run leaves behind is overwritten by the next.
    let temporary = path.with_file_name(format!(".{}.part", name.display()));
    let written = write(&temporary)
        .and_then(|()| fs::OpenOptions::new().write(true).open(&temporary)?.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        drop(fs::remove_file(&temporary));
        return written;
    }
    sync_folder(path);
    Ok(())
}

/// Forces the new name to the disk. Not every system can open a folder; where it cannot, the name is written in time.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = fs::File::open(folder) {
        drop(folder.sync_all());
    }
}

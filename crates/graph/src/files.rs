//! Files that appear whole or not at all.

use std::{fs, io, path::Path};

/// Puts what `write` writes into the place of `path` in one step: it is written to a file beside it, whose path `write`
/// gets, forced to the disk, then renamed, and the new name is forced to the disk too.
///
/// # Errors
/// Those of `write` and of the file system. The old file is there as it was then, and nothing beside it.
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("svertka-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("model");
        replace(&path, |temporary| fs::write(temporary, "old")).unwrap();
        let torn = |temporary: &Path| fs::write(temporary, "ne").and(Err(io::Error::other("disk full")));
        assert_eq!(replace(&path, torn).unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        replace(&path, |temporary| fs::write(temporary, "new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::remove_dir_all(&folder).unwrap();
    }
}

# Commits the tar archive on standard input to the branch main of repository $1, made where it is not there, and tags
# the commit $2 if given. Prints the commit. The same files again make a commit, too.
set -eu
repository="/srv/git/$1"
[ -d "$repository" ] || git init -q --bare "$repository"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar x -C "$work"
export GIT_DIR="$repository" GIT_WORK_TREE="$work" GIT_INDEX_FILE="$work.index"
git config core.bare false
git add --all
git commit -q --allow-empty -m "as the test wants it"
[ -z "${2:-}" ] || git tag "$2"
git rev-parse HEAD
rm -f "$work.index"

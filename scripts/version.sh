# Sourced by the scripts beside it: what a build is called and dated.

maintainer="The culvert project <culvert@localhost.invalid>"

culvert_version() {
  sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json
}

# The date of the commit, so that what is built of it is the same tomorrow; of an unpacked archive, of its package.json.
source_date_epoch() {
  echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y package.json)}"
}

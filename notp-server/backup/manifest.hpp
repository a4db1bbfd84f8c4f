// The manifest of a backup: what it is of, and every file with size and hash.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "notp-server/backup/file_copy.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::backup {

// The number of the format that this program writes. A reader refuses later ones.
inline constexpr int64_t kFormat = 1;
inline constexpr const char* kManifestFile = "manifest.json";
// About a million files: some four for each release.
inline constexpr size_t kManifestBytesMax = 256 << 20;

// Where a ledger stands in a backup.
struct LedgerHead {
  model::LedgerId ledger;
  uint64_t version = 0;
  Hash release_hash;
  bool operator==(const LedgerHead&) const = default;
};

// "ledgers/<zone>/<ledger>.git", in a backup as in data_dir.
std::string repository_path(const model::LedgerId& ledger);

struct Manifest {
  std::string product;  // "notp-server/<version>" that made it
  TimeMs made_ms = 0;   // when it was begun: what was acknowledged before is in it
  std::string trust_domain;
  uint64_t root_version = 0;
  std::vector<LedgerHead> ledgers;
  std::map<std::string, FileFacts> files;  // by path, as seen from the backup's folder

  uint64_t bytes() const;

  // {"backup": …, "sha256": of its compact form}, so that a changed manifest is noticed, too.
  // kLimit above kManifestBytesMax.
  Result<Bytes> encode() const;
  // kVersion: of a later format; kCorrupt: changed, or a path leads out of the folder.
  static Result<Manifest> decode(ByteView text);
};

// The manifest of a folder. kNotFound: it is not a finished backup; as decode(); kIo.
Result<Manifest> read_manifest(const std::filesystem::path& folder);

}  // namespace notp::backup

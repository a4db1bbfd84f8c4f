// Path programs: which files of the base stay, go, move or change, and where new content belongs.
// Layout in protocol/delta/artifact.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/delta/artifact.hpp"
#include "protocol/delta/base_index.hpp"

namespace notp::delta {

// Numbers are places in a BaseIndex. Sources are always looked up in the base as it was; removals
// (the sources of moves included) come before everything that writes, and no path is written twice.
struct Program {
  struct Modified {
    uint32_t file;
    uint64_t bytes;
  };
  struct Added {
    std::string path;
    uint64_t bytes;
  };
  struct AddedLike {  // new content that resembles a file of the base
    uint32_t file;
    std::string path;
    uint64_t bytes;
  };
  struct Placed {
    uint32_t from;  // a file or a folder of the base, by the list it stands in
    std::string to;
  };
  struct Same {
    uint32_t content;  // place in the new contents: modified, added, added_like
    std::string path;
  };
  std::vector<Modified> modified;  // ascending
  std::vector<Added> added;
  std::vector<uint32_t> removed_files;                                           // ascending
  std::vector<uint32_t> removed_folders;                                         // ascending
  std::vector<Placed> moved_folders, moved_files, copied_folders, copied_files;  // by source
  std::vector<AddedLike> added_like;                                             // by file
  std::vector<Same> same;                                                        // by content

  size_t contents() const { return modified.size() + added.size() + added_like.size(); }
};

Bytes encode_program(const Program& program, const BaseIndex& base);

// More bytes than any program has that writes `paths_max` paths.
uint64_t program_bytes_max(const BaseIndex& base, uint64_t paths_max);

// kArtifact when malformed, naming what the base lacks, or writing more than `paths_max` paths.
// Memory: kPathBytesMax for each path and what `bytes` holds.
Result<Program> parse_program(ByteView bytes, const BaseIndex& base, uint64_t paths_max);

// One file of the outcome: content of the base, or the new content number `content`.
struct Slot {
  static constexpr size_t kFromBase = SIZE_MAX;
  FileEntry entry;  // the hash is zero for new content until it is decoded
  size_t content = kFromBase;
};
using Outline = std::map<std::string, Slot, std::less<>>;

// What the program makes of the base. kArtifact when a path is written twice or over another, a
// modified file was removed, or the outcome passes `limits`.
Result<Outline> run_program(const Program& program, const BaseIndex& base,
                            const ApplyLimits& limits);

}  // namespace notp::delta

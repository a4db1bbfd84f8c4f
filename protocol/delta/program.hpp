// Path programs: which files of the base stay, go, move or change, and where new content belongs.
// The layout is specified in protocol/delta/artifact.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/delta/artifact.hpp"
#include "protocol/delta/base_index.hpp"

namespace notp::delta {

// Numbers are indexes in a BaseIndex. Sources are always looked up in the unchanged base; removals
// (the sources of moves included) come before all writes, and no path is written twice.
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
    uint32_t from;  // a file or a folder of the base, depending on the list
    std::string to;
  };
  struct Same {
    uint32_t content;  // index in the new contents: modified, added, added_like
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

// Returns more bytes than any program that writes `paths_max` paths can have.
uint64_t program_bytes_max(const BaseIndex& base, uint64_t paths_max);

// kArtifact when malformed, when it names a file or folder that the base lacks, or when it writes
// more than `paths_max` paths. Memory: kPathBytesMax for each path and the size of `bytes`.
Result<Program> parse_program(ByteView bytes, const BaseIndex& base, uint64_t paths_max);

// One file of the outcome: content of the base, or the new content number `content`.
struct Slot {
  static constexpr size_t kFromBase = SIZE_MAX;
  model::FileEntry entry;  // the hash is zero for new content until it is decoded
  size_t content = kFromBase;
};
using Outline = std::map<std::string, Slot, std::less<>>;

// Applies the program to the base. kArtifact when a path is written twice or over another, a
// modified file was removed, or the outcome exceeds `limits`.
Result<Outline> run_program(const Program& program, const BaseIndex& base,
                            const ApplyLimits& limits);

}  // namespace notp::delta

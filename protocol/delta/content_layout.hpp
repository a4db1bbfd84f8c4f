// Assigns each new content to a section and a reference. Both sides derive the same layout from the
// program and the base; the layout does not travel.
#pragma once

#include <vector>

#include "protocol/delta/program.hpp"

namespace notp::delta {

struct NewContent {
  std::string_view path;  // into the program or the base
  uint64_t bytes = 0;
  const model::FileEntry* reference = nullptr;  // the old version, or the file it resembles
};

// Small contents in one frame, concatenated in the order of `members`.
struct SolidGroup {
  std::vector<size_t> members;                      // indexes in ContentLayout::contents
  std::vector<const model::FileEntry*> references;  // concatenated: the reference of the frame
  uint64_t raw_bytes = 0;
};

struct ContentLayout {
  std::vector<NewContent> contents;  // modified, added, added_like, in the order of the program
  std::vector<SolidGroup> solids;
  std::vector<size_t> blobs;  // contents with a separate section, ascending
};

// Views into `program` and `base`, which must outlive the result.
ContentLayout layout_of(const Program& program, const BaseIndex& base);

}  // namespace notp::delta

// Status lists, inflated, in files of which the PDP's processes have the same pages.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "common/rego/token_update.hpp"
#include "notp-client/lane/table/segment.hpp"

namespace notp::lane {

// The lists whose keys begin with the same 6 bits. Each change writes the file again: lists change
// every half a minute at most, and are few. One thread.
class ListShard {
 public:
  // nullopt for a key that goes. kIo: nothing changed.
  using Changes = std::map<feed::TokenId, std::optional<StatusList>>;
  Result<void> change(const Changes& changes);

  std::optional<StatusList> find(const feed::TokenId& key) const;
  std::vector<feed::TokenId> keys() const;
  std::vector<feed::TokenId> ended(int64_t now_s) const;
  uint64_t statuses_bytes() const;
  rego::TokenShard shared() const { return {base_, nullptr}; }

 private:
  rego::SharedBytesPtr base_;
  SegmentView view_;
};

}  // namespace notp::lane

// Who reads what: entries of the registry's tree, few enough that reading does not fill it.
#pragma once

#include <map>
#include <string>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "notp-server/audit/tree_sink.hpp"
#include "protocol/wire/messages/request.hpp"

namespace notp::audit {

// Thread-safe. May wait for the tree to take an entry: nothing is read unseen.
class Reads {
 public:
  explicit Reads(TreeSink& tree) : tree_(tree) {}

  // A reader is about to be answered. Writes one entry for kReadsEveryMs of one reader and kind of
  // request; requests about no records, and pages after the first, write none. The entry's digest
  // is the SHA-256 of the request's frame with the request number 0. kCancelled: the registry
  // stops.
  Result<void> note(const std::string& reader, const wire::Request& request, TimeMs now_ms);

 private:
  using Key = std::pair<std::string, std::string>;  // reader, kind
  bool is_noted(const Key& key, TimeMs now_ms);
  void noted(const Key& key, TimeMs now_ms);

  TreeSink& tree_;
  Mutex mutex_;
  std::map<Key, TimeMs> noted_ms_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::audit

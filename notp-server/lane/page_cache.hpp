// Statements that were read from the store a moment ago: many nodes want the same ones, after a
// restart of the registry for example.
#pragma once

#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/statement_maker.hpp"

namespace notp::lane {

struct PageKey {
  uint64_t grant = 0;
  bool is_snapshot = false;
  uint64_t revision = 0;                // `from` of a tail, `as_of` of a snapshot
  std::optional<feed::EventKey> after;  // of a snapshot
  auto operator<=>(const PageKey&) const = default;
};

// Beyond kPageCacheBytesMax the least recently used pages go. A page is right however old it is,
// since what came later follows it; but a tail also says how old the lane is, and nodes refuse one
// that was signed before the clock was set back.
class PageCache {
 public:
  const Statement* find(const PageKey& key, Now now) {
    const auto found = pages_.find(key);
    if (found == pages_.end() || found->second.made.wall_ms > now.wall_ms) return nullptr;
    if (!key.is_snapshot && now.boot_ms > found->second.made.boot_ms + kTailLifeMs) return nullptr;
    uses_.splice(uses_.end(), uses_, found->second.use);
    return &found->second.statement;
  }

  const Statement& put(const PageKey& key, Statement statement, Now now) {
    drop(key);
    bytes_ += statement.frame->size();
    while (bytes_ > kPageCacheBytesMax && !uses_.empty()) drop(PageKey(uses_.front()));
    uses_.push_back(key);
    const auto added =
        pages_.emplace(key, Entry{std::move(statement), std::prev(uses_.end()), now}).first;
    return added->second.statement;
  }

 private:
  struct Entry {
    Statement statement;
    std::list<PageKey>::iterator use;
    Now made;
  };

  void drop(const PageKey& key) {
    const auto found = pages_.find(key);
    if (found == pages_.end()) return;
    bytes_ -= found->second.statement.frame->size();
    uses_.erase(found->second.use);
    pages_.erase(found);
  }

  std::map<PageKey, Entry> pages_;
  std::list<PageKey> uses_;  // the least recent one first
  size_t bytes_ = 0;
};

}  // namespace notp::lane

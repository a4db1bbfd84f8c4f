// The tokens that one source can be asked about again: their texts, in memory alone. Pure.
#pragma once

#include <map>
#include <optional>

#include "notp-server/lane_inputs/token_text.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::lane_inputs {

// One thread.
class TokenBook {
 public:
  TokenBook(size_t tokens_max, size_t bytes_max) : tokens_max_(tokens_max), bytes_max_(bytes_max) {}

  // Whether the token is in the book now. false: there is no room, even without what has expired.
  bool put(const feed::TokenId& id, TokenText token, int64_t exp_s, int64_t now_s);
  void erase(const feed::TokenId& id);
  bool contains(const feed::TokenId& id) const { return entries_.contains(id); }

  struct Entry {
    TokenText token;
    int64_t exp_s = 0;  // Unix time; 0: unknown
  };
  using Row = std::pair<const feed::TokenId, Entry>;
  // nullptr: there is none.
  const Row* find(const feed::TokenId& id) const;
  // The first token above `after`.
  const Row* next(const std::optional<feed::TokenId>& after) const;

  // Drops what has expired.
  void expire(int64_t now_s);
  size_t size() const { return entries_.size(); }

 private:
  const size_t tokens_max_, bytes_max_;
  std::map<feed::TokenId, Entry> entries_;
  size_t bytes_ = 0;  // of the texts
};

}  // namespace notp::lane_inputs

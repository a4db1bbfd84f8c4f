#include "notp-server/lane_inputs/token_book.hpp"

#include <utility>

namespace notp::lane_inputs {

bool TokenBook::put(const feed::TokenId& id, TokenText token, int64_t exp_s, int64_t now_s) {
  if (const auto known = entries_.find(id); known != entries_.end()) {
    known->second.exp_s = exp_s;
    return true;
  }
  const auto is_full = [&] {
    return entries_.size() >= tokens_max_ || bytes_ + token.size() > bytes_max_;
  };
  if (is_full()) expire(now_s);
  if (is_full()) return false;
  bytes_ += token.size();
  entries_.emplace(id, Entry{std::move(token), exp_s});
  return true;
}

void TokenBook::erase(const feed::TokenId& id) {
  const auto known = entries_.find(id);
  if (known == entries_.end()) return;
  bytes_ -= known->second.token.size();
  entries_.erase(known);
}

const TokenBook::Row* TokenBook::find(const feed::TokenId& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &*found;
}

const TokenBook::Row* TokenBook::next(const std::optional<feed::TokenId>& after) const {
  const auto found = after ? entries_.upper_bound(*after) : entries_.begin();
  return found == entries_.end() ? nullptr : &*found;
}

void TokenBook::expire(int64_t now_s) {
  std::erase_if(entries_, [&](const auto& one) {
    const bool is_over = one.second.exp_s != 0 && one.second.exp_s <= now_s;
    if (is_over) bytes_ -= one.second.token.size();
    return is_over;
  });
}

}  // namespace notp::lane_inputs

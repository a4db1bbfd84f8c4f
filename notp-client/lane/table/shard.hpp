// One part of a table: a file of which the PDP's processes have the same pages, and what has
// changed since it was written.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "common/rego/token_update.hpp"
#include "notp-client/lane/table/segment.hpp"

namespace notp::lane {

// The state of one token.
struct TokenState {
  TokenKind kind = TokenKind::kAbsent;
  int64_t end_s = 0;
};

// Tokens, tombstones and marks whose ids begin with the same 6 bits. One thread.
class TokenShard {
 public:
  TokenState state(const feed::TokenId& id) const;
  std::optional<feed::TokenRecord> record(const feed::TokenId& id) const;  // of a living one
  std::optional<Mark> mark(const feed::TokenId& id) const;

  void put_living(const feed::TokenId& id, feed::TokenRecord record);
  void put_deleted(const feed::TokenId& id, int64_t until_s);
  void put_absent(const feed::TokenId& id);
  void put_mark(const feed::TokenId& id, const Mark& mark);

  size_t changes() const { return tokens_.size() + marks_.size(); }
  size_t base_tokens() const { return view_.tokens(); }
  uint64_t memory_bytes() const;
  // Living tokens with `after` < id <= `last`, ascending.
  std::vector<feed::TokenId> living(const std::optional<feed::TokenId>& after,
                                    const std::optional<feed::TokenId>& last) const;

  // Whether about one of kEndedShare entries, or more, has ended.
  bool is_stale(int64_t now_s) const;
  struct Ended {
    std::vector<feed::EventKey> keys;
    size_t living = 0, deleted = 0, marks = 0;
  };
  // Writes the file again, without what has ended; the changes are in it then. Unchanged on an
  // error.
  Result<Ended> rewrite(int64_t now_s);

  // What a PDP gets.
  rego::TokenShard shared() const;

 private:
  struct Change {
    TokenKind kind = TokenKind::kAbsent;
    int64_t until_s = 0;
    std::unique_ptr<feed::TokenRecord> record;
    int64_t end_s() const { return record ? record->exp_s : until_s; }
  };
  void put(const feed::TokenId& id, Change change);

  rego::SharedBytesPtr base_;
  SegmentView view_;
  std::vector<int64_t> ends_;  // a sample of when entries of the file end, ascending
  std::map<feed::TokenId, Change> tokens_;
  std::map<feed::TokenId, Mark> marks_;
  mutable std::shared_ptr<const Bytes> delta_;  // encoded; null: not yet, or empty
};

}  // namespace notp::lane

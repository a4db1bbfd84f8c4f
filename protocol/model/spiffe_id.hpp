// SPIFFE ids in certificates and configurations (SPIFFE-ID §2).
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp::model {

// One id, at most kIdentityBytesMax bytes in all. It is not normalised, so that two spellings are
// never one id.
struct SpiffeId {
  std::string trust_domain;  // as check_trust_domain() accepts it
  std::string path;          // one or more segments joined by '/', without the first '/'

  // Parses "spiffe://<trust-domain>/<path>". A segment is one or more of [A-Za-z0-9._-], neither
  // "." nor "..". kIdentity names the broken rule.
  static Result<SpiffeId> parse(std::string_view uri);
  std::string text() const;
  bool operator==(const SpiffeId&) const = default;
};

// Covers one id, or with "*" as its last segment all ids that have the segments before it and at
// least one more: "spiffe://td/ns/shop/*" covers "spiffe://td/ns/shop/sa/till" and not
// "spiffe://td/ns/shop", nor "spiffe://td/ns/shop-2/sa/till".
class SpiffePattern {
 public:
  // kConfig with the mistake and an example of a pattern.
  static Result<SpiffePattern> parse(std::string_view text, std::string_view trust_domain);

  // `uri` is the text of a SpiffeId.
  bool covers(std::string_view uri) const;
  // Whether there is an id that both cover.
  bool overlaps(const SpiffePattern& other) const;
  std::string text() const { return is_prefix_ ? front_ + "*" : front_; }
  bool operator==(const SpiffePattern&) const = default;

 private:
  SpiffePattern(std::string front, bool is_prefix)
      : front_(std::move(front)), is_prefix_(is_prefix) {}

  std::string front_;  // the whole id; for a prefix the text before "*", which ends in '/'
  bool is_prefix_;
};

}  // namespace notp::model

// The PDP of a simulated node: what it was given of the node's table, and lookups by the rules of
// protocol/feed/README.md.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "notp-client/lane/table/token_table.hpp"
#include "protocol/feed/lane_event.hpp"

namespace notp::sim {

// Of a JWT that its issuer has signed.
struct SimClaims {
  std::string token, iss, sub, sid, jti;
  int64_t iat_s = 0, exp_s = 0;
  feed::TokenId list;  // of its status list
  uint64_t index = 0;  // there
  bool has_status = false;
};

class LanePdp {
 public:
  void apply(const lane::TableUpdate& update);

  // Trusted time, as the engine's workers reckon it.
  TimeMs now_ms(Now now) const;
  // As data.system.notp.tokens.
  std::optional<feed::TokenRecord> lookup(const feed::TokenId& id, Now now) const;
  bool revoked(const SimClaims& claims, Now now) const;
  bool revoked(const feed::TokenId& token, Now now) const;
  const lane::LaneReadout& readout() const { return readout_; }

  // --- for the checks
  const std::map<feed::EventKey, feed::Event>& entries() const { return entries_; }
  bool has(const feed::Event& revocation) const;

 private:
  const feed::Event* find(feed::EventKind kind, const feed::TokenId& id) const;
  void put(const feed::Event& event);
  bool answers(Now now) const;
  bool is_marked(feed::MarkKind kind, const std::string& issuer, const std::string& value,
                 int64_t iat_s) const;

  std::map<feed::EventKey, feed::Event> entries_;
  lane::LaneReadout readout_;
};

}  // namespace notp::sim

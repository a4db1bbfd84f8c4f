// Decides which of the accepted connections begins its TLS handshake next: those whose clients have
// sent something, address by address in turn, at most so many at once. What has sent nothing takes
// nobody's turn, and costs no TLS.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/limits.hpp"

namespace notp::serve {

struct HandshakeTurnLimits {
  // So few that each is done within a small part of grace_ms, however slow the machine.
  size_t under_way_max = 128;
  TimeMs silent_ms = limits::kHandshakeMs;  // for a client's first byte
  // A handshake that has been under way for so long ends when another one waits for its place.
  TimeMs grace_ms = 1'000;
};

// Pure. Times are of the boot clock.
class HandshakeTurns {
 public:
  using Ticket = uint64_t;

  explicit HandshakeTurns(HandshakeTurnLimits limits = {}) : limits_(limits) {}

  // A connection was accepted from this address.
  Ticket arrive(std::string address, TimeMs now_ms);
  // Its client has sent something, or closed the connection.
  void has_sent(Ticket ticket);
  // The handshake that begins now; nullopt: nobody waits, or so many are under way.
  std::optional<Ticket> begin_next(TimeMs now_ms);
  // The handshake is over, or the connection is gone. An unknown ticket changes nothing.
  void end(Ticket ticket);

  // Makes room for a connection from an address: the one that has been silent longest is gone, or
  // the newest of the address with most that wait for their turns. nullopt: no address has clearly
  // more than this one.
  std::optional<Ticket> give_way(const std::string& newcomer);
  // Silent connections whose time is over: they are gone.
  std::vector<Ticket> take_silent(TimeMs now_ms);
  // The oldest handshake, when it must end for one that waits: it is gone. nullopt: none must.
  std::optional<Ticket> displace(TimeMs now_ms);
  // When take_silent() or displace() may have something; kNever: not before another call.
  TimeMs next_deadline() const;

  size_t waiting() const { return places_.size() - under_way_.size(); }
  size_t under_way() const { return under_way_.size(); }

 private:
  enum class Stage : uint8_t { kSilent, kReady, kUnderWay };
  struct Place {
    Stage stage = Stage::kSilent;
    std::string address;
    uint64_t begun = 0;  // its place in under_way_
  };

  bool is_full() const { return under_way_.size() >= limits_.under_way_max; }
  bool has_ready() const { return ready_count_ != 0; }

  const HandshakeTurnLimits limits_;
  Ticket next_ = 1;
  std::unordered_map<Ticket, Place> places_;
  std::map<Ticket, TimeMs> silent_;  // since when; in the order of their arrival
  // Which, and since when; in the order of their begin.
  std::map<uint64_t, std::pair<Ticket, TimeMs>> under_way_;
  uint64_t next_begun_ = 0;
  // May contain tickets that have ended. An address is in turns_ once, while it has a queue.
  std::unordered_map<std::string, std::deque<Ticket>> queues_;
  std::list<std::string> turns_;
  size_t ready_count_ = 0;
};

}  // namespace notp::serve

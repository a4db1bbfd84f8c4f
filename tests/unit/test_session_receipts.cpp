// Receipts of the registry's tree and their answers, and releases that a gate holds, at both ends
// of a session: what is sent when, and what has no place.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/session/client/client_session.hpp"
#include "tests/support/registry/served_session.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp::session {
namespace {

namespace wired = wire::samples;

constexpr auto kStateCode = static_cast<uint32_t>(ErrorCode::kState);

wire::Hello hello_with_tree() {
  wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
  hello.log = wired::offer_with_tree();
  return hello;
}

wire::LogGrant grant(uint32_t code = 0) {
  wire::LogGrant out;
  out.log = wired::log_id();
  out.window_bytes = code == 0 ? limits::kLogWindowBytes : 0;
  out.code = code;
  return out;
}

record::LogId other_log() {
  record::LogId log = wired::log_id();
  log.bytes[0] ^= 1;
  return log;
}

// A session whose peer has offered its log, and was granted it.
struct Granted : Served {
  Granted() {
    registry.granted.insert(wire::Action::kRecord);
    after(hello_with_tree());
    session.log_granted(grant());
    output();
  }
  std::vector<wire::LogReceipt> receipts_after(const wire::LogReceipt& receipt) {
    session.log_receipt(receipt);
    return all_of<wire::LogReceipt>(output());
  }
  std::vector<wire::LogWitness> witnessed() const {
    std::vector<wire::LogWitness> out;
    for (const ServerEvent& event : events)
      if (const auto* one = std::get_if<server_event::WitnessArrived>(&event))
        out.push_back(one->witness);
    return out;
  }
  // Error code that the session ended with; 0: it is open.
  uint32_t ended_with() const {
    for (const ServerEvent& event : events)
      if (const auto* closed = std::get_if<server_event::Closed>(&event))
        return static_cast<uint32_t>(closed->error.code);
    return 0;
  }
};

template <typename T>
std::vector<T> events_of(ClientSession& session) {
  std::vector<T> out;
  for (ClientEvent& event : session.take_events())
    if (auto* one = std::get_if<T>(&event)) out.push_back(std::move(*one));
  return out;
}

// A node that has been welcomed, without a socket.
struct Client {
  ClientSession session;
  explicit Client(wire::Hello hello) : session(std::move(hello), {}, kStart) {
    wire::Welcome welcome;
    welcome.trust_domain = std::string(samples::kDomain);
    tell(welcome);
  }
  void tell(const wire::Message& message) { session.receive(wire::encode_frame(message), kStart); }
};

}  // namespace

TEST_CASE("an offer tells the host which tree the node keeps a checkpoint of") {
  const Granted granted;
  for (const ServerEvent& event : granted.events)
    if (const auto* offered = std::get_if<server_event::LogOffered>(&event)) {
      CHECK(offered->offer.tree == wired::tree_id());
      CHECK(offered->offer.tree_size == 70'000);
      return;
    }
  FAIL("there was no offer");
}

TEST_CASE("a receipt reaches the node of a granted log, and its answer the host") {
  Granted granted;
  const auto sent = granted.receipts_after(wired::log_receipt());
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].index == 70'001);
  CHECK(sent[0].dropped == 1024);
  CHECK(sent[0].inclusion == wired::log_receipt().inclusion);
  granted.after(wired::log_witness());
  REQUIRE(granted.witnessed().size() == 1);
  CHECK(granted.witnessed()[0].tree_size == 70'002);
  CHECK(granted.witnessed()[0].signature == wired::log_witness().signature);
  CHECK(granted.receipts_after(wired::log_receipt()).size() == 1);
  granted.after(wired::refused_witness());
  REQUIRE(granted.witnessed().size() == 2);
  CHECK(granted.witnessed()[1].kept == "the checkpoint that is kept");
  CHECK(granted.ended_with() == 0);
}

TEST_CASE("an answer without a receipt that waits for it ends the session with STATE") {
  Granted early;
  early.after(wired::log_witness());
  CHECK(early.ended_with() == kStateCode);
  CHECK(early.witnessed().empty());

  Granted twice;
  twice.receipts_after(wired::log_receipt());
  twice.after(wired::log_witness());
  CHECK(twice.ended_with() == 0);
  twice.after(wired::log_witness());
  CHECK(twice.ended_with() == kStateCode);
  CHECK(twice.witnessed().size() == 1);

  Granted foreign;
  foreign.receipts_after(wired::log_receipt());
  wire::LogWitness witness = wired::log_witness();
  witness.log = other_log();
  foreign.after(witness);
  CHECK(foreign.ended_with() == kStateCode);

  Served without_log;
  without_log.subscribe({});
  without_log.after(wired::log_witness());
  CHECK(without_log.session.is_closed());
}

TEST_CASE("no receipt goes out before the grant, of another log, or after a refusal") {
  Granted granted;
  wire::LogReceipt foreign = wired::log_receipt();
  foreign.log = other_log();
  CHECK(granted.receipts_after(foreign).empty());
  CHECK(granted.receipts_after(wired::log_receipt()).size() == 1);
  granted.session.log_granted(grant(static_cast<uint32_t>(ErrorCode::kLogFork)));
  granted.output();
  CHECK(granted.receipts_after(wired::log_receipt()).empty());
  // The answer to the one before may be on its way.
  granted.after(wired::log_witness());
  CHECK(granted.witnessed().size() == 1);
  CHECK(granted.ended_with() == 0);

  Served offered;
  offered.registry.granted.insert(wire::Action::kRecord);
  offered.after(hello_with_tree());
  offered.session.log_receipt(wired::log_receipt());
  CHECK(all_of<wire::LogReceipt>(offered.output()).empty());
}

TEST_CASE("a client hears receipts of its own log and answers, and refuses those of others") {
  Client client(hello_with_tree());
  client.tell(grant());
  client.tell(wired::log_receipt());
  const auto arrived = events_of<client_event::ReceiptArrived>(client.session);
  REQUIRE(arrived.size() == 1);
  CHECK(arrived[0].receipt.checkpoint == "checkpoint");
  client.session.take_output(1 << 20);
  client.session.witness(wired::log_witness());
  const auto said = messages_in(client.session.take_output(1 << 20));
  REQUIRE(said.size() == 1);
  CHECK(std::get<wire::LogWitness>(said[0]).time_s == 1'750'000'010);
  wire::LogReceipt foreign = wired::log_receipt();
  foreign.log = other_log();
  client.tell(foreign);
  CHECK(client.session.is_closed());

  Client without_log({{wire::kProtocolVersion}, "test", 1, 0, {}});
  without_log.tell(wired::log_receipt());
  CHECK(without_log.session.is_closed());
}

TEST_CASE("a release that is let go is told to who wants its ledger, and to nobody else") {
  Served served;
  served.subscribe({samples::kLedger});
  REQUIRE(served.session.release_held({samples::kLedger, 3}));
  const auto sent = all_of<wire::ReleaseHeld>(served.output());
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].version == 3);
  const auto other = served.session.release_held({kOther, 3});
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::kState);
  CHECK(served.output().empty());
  CHECK_FALSE(served.session.is_closed());

  wire::Want want;
  want.ledger = samples::kLedger;
  Client client({{wire::kProtocolVersion}, "test", 1, 0, {want}});
  client.tell(sent[0]);
  const auto heard = events_of<client_event::HeldReleased>(client.session);
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].release.ledger == samples::kLedger);
  client.tell(wire::ReleaseHeld{kOther, 3});
  CHECK(client.session.is_closed());
}

}  // namespace notp::session

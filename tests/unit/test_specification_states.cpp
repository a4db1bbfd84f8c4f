// The tables under "States" and the rules under "Flows" of protocol/session/README.md, row by row.
#include <doctest/doctest.h>

#include <map>

#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/session/server/server_session.hpp"
#include "tests/support/registry/prepared_artifact.hpp"
#include "tests/support/wire/specification_document.hpp"
#include "tests/support/wire/wire_messages.hpp"
#include "tests/support/wire/wire_samples.hpp"

using namespace notp;
using samples::specification::table_under;
using samples::specification::trimmed;

namespace {

const model::LedgerId kLedger{273165098782, "payments"};
constexpr std::string_view kNode = "spiffe://core-platform.internal/node/edge-17";
constexpr Now kStart{1'000, 1'000};

Hash hash_of(uint8_t fill) {
  Hash hash;
  hash.bytes.fill(fill);
  return hash;
}

// The code of the Error in a session's answer; 0: none.
uint32_t error_in(session::SessionMachine& session) {
  uint32_t code = 0;
  for (const auto& message : messages_in(session.take_output(1 << 20)))
    if (const auto* error = std::get_if<wire::ErrorMessage>(&message))
      code = static_cast<uint32_t>(error->code);
  CHECK(session.is_closed() == (code != 0));
  return code;
}

constexpr uint32_t number(ErrorCode code) { return static_cast<uint32_t>(code); }

template <typename T>
std::vector<T> all_of(std::vector<wire::Message> messages) {
  std::vector<T> out;
  for (auto& message : messages)
    if (auto* one = std::get_if<T>(&message)) out.push_back(std::move(*one));
  return out;
}

void tell(session::SessionMachine& session, const wire::Message& message, Now now = kStart) {
  session.receive(wire::encode_frame(message), now);
}

wire::Welcome welcome() {
  wire::Welcome out;
  out.trust_domain = "core-platform.internal";
  return out;
}

wire::Offer offer(uint32_t stream = 1, uint64_t size = 10, uint64_t offset = 0) {
  wire::Offer out;
  out.stream = stream;
  out.ledger = kLedger;
  out.version = 2;
  out.artifact = hash_of(0xa1);
  out.size = size;
  out.offset = offset;
  return out;
}

wire::Want want(std::optional<wire::Base> base = {}, std::vector<wire::Base> older = {}) {
  wire::Want out;
  out.ledger = kLedger;
  out.base = base;
  out.older = std::move(older);
  return out;
}

wire::Hello hello(std::vector<wire::Want> wants = {}) {
  return {{wire::kProtocolVersion}, "test", 0, 0, std::move(wants)};
}

wire::Commit commit(uint64_t version, wire::CommitState state) {
  wire::Commit out;
  out.ledger = kLedger;
  out.version = version;
  out.state = state;
  return out;
}

wire::FreshnessUpdate freshness() {
  wire::FreshnessUpdate out;
  out.sequence = out.root_version = 1;
  out.issued_ms = out.lifetime_ms = 1;
  out.signature = Bytes(64, 's');
  return out;
}

wire::HeldRequest held_request(const std::string& name = kLedger.name) {
  return {{kLedger.zone, name}, 1, 1};
}

wire::ReturnRequest return_request(const std::string& name = kLedger.name) {
  return {1, {kLedger.zone, name}, 3, hash_of(3), 2};
}

wire::Return returned() {
  wire::Return out;
  out.request = 1;
  out.size = 10;
  return out;
}

// For subscription `number`.
wire::Offer short_offer(uint32_t number) {
  wire::Offer out;
  out.stream = 1;
  out.version = 2;
  out.size = 10;
  out.subscription = number;
  return out;
}

// The version of the base of an offer to a subscription; 0: none.
uint64_t base_of(const wire::Offer& offer) {
  return offer.base_distance == 0 ? 0 : offer.version - offer.base_distance;
}

// The answer of a client with one want to messages after its Hello.
uint32_t client_answer(const std::vector<wire::Message>& said) {
  session::ClientSession session(hello({want()}), {}, kStart);
  session.take_output(1 << 20);
  for (const auto& message : said) tell(session, message);
  return error_in(session);
}

// A ledger with releases 1 to `head`.
struct Registry final : session::Catalog,
                        session::TargetSource,
                        session::SessionRights,
                        session::FreshnessSource {
  uint64_t last = 3;
  uint64_t roots = 1;
  bool readable = true;
  bool attests = false;

  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                          std::string_view) const override {
    return release(ledger, last);
  }
  std::optional<trust::ReleaseRef> release(const model::LedgerId& ledger,
                                           uint64_t version) const override {
    if (version == 0 || version > last) return std::nullopt;
    const auto fill = static_cast<uint8_t>(version);
    return trust::ReleaseRef{ledger, 1, version, hash_of(fill), base(version).content_root};
  }
  std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const override {
    return release(ledger, last);
  }
  std::optional<trust::ReleaseRef> pending(const model::LedgerId& ledger, uint64_t version,
                                           const Hash& release) const override {
    if (version != last + 1 || release != hash_of(0x70)) return std::nullopt;
    return trust::ReleaseRef{ledger, 1, version, release, base(version).content_root};
  }
  std::vector<session::CatalogRoot> roots_after(uint64_t version) const override {
    std::vector<session::CatalogRoot> out;
    while (++version <= roots)
      out.push_back({version, std::make_shared<const Bytes>("root " + std::to_string(version))});
    return out;
  }
  uint64_t newest_root() const override { return roots; }
  Result<void> may(wire::Action action, const model::LedgerId*) const override {
    if (readable && (action == wire::Action::kRead || action == wire::Action::kReview)) return {};
    return fail(ErrorCode::kDenied, "not granted");
  }
  bool enabled() const override { return attests; }
  TimeMs interval_ms() const override { return limits::kFreshnessIntervalMs; }
  Result<std::pair<trust::Freshness, Bytes>> sign(trust::Freshness out, uint64_t sequence_min,
                                                  Now now) const override {
    out.sequence = std::max(sequence_min, static_cast<uint64_t>(now.wall_ms));
    out.root_version = roots;
    out.issued_ms = now.wall_ms;
    out.expires_ms = now.wall_ms + limits::kFreshnessLifetimeMs;
    return std::pair{std::move(out), Bytes(64, 's')};
  }
  bool holds(const trust::Freshness& statement) const override {
    return statement.root_version == roots;
  }
  Result<std::pair<trust::Assignment, Bytes>> sign(trust::Assignment, uint64_t,
                                                   Now) const override {
    return fail(ErrorCode::kConfig, "no session here is in a class");
  }
  static wire::Base base(uint64_t version) {
    return {version, hash_of(static_cast<uint8_t>(0x80 + version))};
  }
};

struct Served {
  Registry registry;
  session::ServerSession session{{registry, registry, registry, &registry},
                                 {"test", "core-platform.internal", std::string(kNode)},
                                 kStart};

  // Answers the session's needs, and returns its output.
  std::vector<wire::Message> output() {
    for (const session::ServerEvent& event : session.take_events())
      if (const auto* need = std::get_if<session::server_event::ArtifactNeeded>(&event))
        session.artifact_ready(need->ticket, prepared_artifact(registry, *need, Bytes(100, 'a')));
    return messages_in(session.take_output(1 << 20));
  }
  std::vector<wire::Message> after(const wire::Message& message) {
    tell(session, message);
    return output();
  }
  std::vector<wire::Offer> offers_after(const wire::Message& message) {
    return all_of<wire::Offer>(after(message));
  }
};

uint32_t registry_answer(const std::vector<wire::Message>& said) {
  Served served;
  for (const auto& message : said) tell(served.session, message);
  return error_in(served.session);
}

// The right that a request needs, by the table of requests.
template <typename T>
std::string right_text() {
  static const std::map<wire::Action, std::string> kTexts = {
      {wire::Action::kRead, "`read`"},
      {wire::Action::kPublish, "`publish`"},
      {wire::Action::kFleet, "`fleet`"},
      {wire::Action::kTrust, "`trust`"},
      {wire::Action::kEnroll, "`enroll`"},
      {wire::Action::kRenew, "the role `node`"},
      {wire::Action::kAudit, "`audit`"},
      {wire::Action::kErase, "`erase`"},
      {wire::Action::kRevoke, "`revoke`"},
      {wire::Action::kReview, "`read` on the ledger, and not the role `node`"}};
  if (!T::kAction) return "none";
  std::string out = kTexts.at(*T::kAction);
  if constexpr (requires(T what) { what.ledger; })
    if (!out.contains("on the ledger")) out += " on the ledger";
  return trimmed(out);
}

// By name: HistoryRequest.
template <typename... Requests>
std::map<std::string, std::string> rights_of_requests(const std::variant<Requests...>&) {
  return {{std::string(Requests::kName), right_text<Requests>()}...};
}

}  // namespace

TEST_CASE("client: what has no place is refused with its code") {
  auto other_version = welcome();
  other_version.version = 2;
  CHECK(client_answer({welcome()}) == 0);
  CHECK(client_answer({offer()}) == number(ErrorCode::kState));
  CHECK(client_answer({other_version}) == number(ErrorCode::kVersion));
  CHECK(client_answer({welcome(), welcome()}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), hello()}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), offer(), wire::Chunk{1, "ten bytes!"}}) == 0);
  CHECK(client_answer({welcome(), offer(), offer()}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), short_offer(0)}) == 0);
  CHECK(client_answer({welcome(), short_offer(1)}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), offer(1, 0)}) == number(ErrorCode::kLimit));
  CHECK(client_answer({welcome(), offer(1, 10, 5)}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::Chunk{1, "x"}}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), offer(), wire::Chunk{1, "eleven byte"}}) ==
        number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::Pong{1}}) == number(ErrorCode::kState));
  CHECK(client_answer({wire::RootUpdate{"root 2"}}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::RootUpdate{"root 2"}}) == 0);
  CHECK(client_answer({welcome(), freshness()}) == 0);
  CHECK(client_answer({welcome(), wire::Join{"token", "request"}}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::Joined{{"c", "a"}, {"root 1"}}}) ==
        number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::LogGrant{}}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::LogAnnouncement{"a"}}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::samples::segment()}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::samples::log_receipt()}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::samples::log_witness()}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::ReleaseHeld{kLedger, 3}}) == 0);
  CHECK(client_answer({welcome(), wire::ReleaseHeld{{kLedger.zone, "other"}, 3}}) ==
        number(ErrorCode::kState));
  CHECK(client_answer({welcome(), held_request()}) == 0);
  CHECK(client_answer({welcome(), held_request("other")}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), return_request()}) == 0);
  CHECK(client_answer({welcome(), return_request("other")}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), return_request(), return_request()}) ==
        number(ErrorCode::kState));
  CHECK(client_answer({welcome(), wire::Held{kLedger, {}, {}, {}}}) == number(ErrorCode::kState));
  CHECK(client_answer({welcome(), returned()}) == number(ErrorCode::kState));
  std::vector<wire::Message> questions = {welcome()};
  questions.insert(questions.end(), limits::kHeldRequestsMax, held_request());
  CHECK(client_answer(questions) == 0);
  questions.push_back(held_request());
  CHECK(client_answer(questions) == number(ErrorCode::kState));
  std::vector<wire::Message> roots = {welcome()};
  roots.insert(roots.end(), limits::kRootStepsMax + 1, wire::RootUpdate{"root"});
  CHECK(client_answer(roots) == number(ErrorCode::kLimit));
  std::vector<wire::Message> too_many = {welcome()};
  for (uint32_t stream = 1; stream <= limits::kStreamsMax + 1; ++stream)
    too_many.push_back(offer(stream));
  CHECK(client_answer(too_many) == number(ErrorCode::kLimit));
}

TEST_CASE("registry: what has no place is refused with its code") {
  const wire::Request query{1, wire::NodesRequest{}};
  CHECK(registry_answer({hello()}) == 0);
  CHECK(registry_answer({query}) == number(ErrorCode::kState));
  CHECK(registry_answer({wire::Hello{{2}, "", 0, 0, {}}}) == number(ErrorCode::kVersion));
  CHECK(registry_answer({hello(), hello()}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), query}) == 0);
  CHECK(registry_answer({hello(), offer()}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), wire::RootUpdate{"root 2"}}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), freshness()}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), wire::Join{"token", "request"}}) == number(ErrorCode::kState));
  CHECK(registry_answer({wire::Join{"token", "request"}}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), commit(1, wire::CommitState::kActive)}) ==
        number(ErrorCode::kState));
  CHECK(registry_answer({hello({want()}), commit(4, wire::CommitState::kActive)}) ==
        number(ErrorCode::kState));
  wire::Commit numbered = commit(3, wire::CommitState::kActive);
  numbered.ledger = {};
  CHECK(registry_answer({hello({want()}), numbered}) == 0);
  CHECK(registry_answer({hello(), numbered}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), wire::Chunk{1, "x"}}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello({want()}), wire::Held{kLedger, {}, {}, {}}}) ==
        number(ErrorCode::kState));
  CHECK(registry_answer({hello({want()}), returned()}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), held_request()}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), return_request()}) == number(ErrorCode::kState));
  wire::Publish publish{1, kLedger, {}, 4, {}, 10, "", 1};
  CHECK(registry_answer({hello(), publish}) == number(ErrorCode::kDenied));
  wire::Hello with_log = hello();
  with_log.log = wire::samples::log_offer();
  CHECK(registry_answer({with_log}) == 0);
  CHECK(registry_answer({hello(), wire::LogGrant{}}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), wire::samples::log_receipt()}) == number(ErrorCode::kState));
  CHECK(registry_answer({hello(), wire::ReleaseHeld{kLedger, 3}}) == number(ErrorCode::kState));
  for (const wire::Hello& greeting : {hello(), with_log}) {
    CHECK(registry_answer({greeting, wire::samples::segment()}) == number(ErrorCode::kState));
    CHECK(registry_answer({greeting, wire::LogAnnouncement{"a"}}) == number(ErrorCode::kState));
    CHECK(registry_answer({greeting, wire::samples::log_witness()}) == number(ErrorCode::kState));
  }
}

TEST_CASE("a want is refused in Welcome, and by Error on an open session") {
  Served served;
  served.registry.readable = false;
  const auto said = all_of<wire::Welcome>(served.after(hello({want()})));
  REQUIRE(said.size() == 1);
  REQUIRE(said.front().refusals.size() == 1);
  CHECK(said.front().refusals.front().code == ErrorCode::kDenied);
  CHECK_FALSE(served.session.is_closed());
  tell(served.session, wire::WantMore{{want()}});
  CHECK(error_in(served.session) == number(ErrorCode::kDenied));

  Served missing;
  auto one = want();
  one.version = 9;
  tell(missing.session, hello());
  tell(missing.session, wire::WantMore{{one}});
  CHECK(error_in(missing.session) == number(ErrorCode::kNotFound));
}

TEST_CASE("a session has room for so many ledgers and artifacts") {
  const auto ledger = [](size_t i) {
    return model::LedgerId{kLedger.zone, "l" + std::to_string(i)};
  };
  std::vector<wire::Want> wants(limits::kLedgersPerSessionMax);
  for (size_t i = 0; i < wants.size(); ++i) {
    wants[i].ledger = ledger(i);
    wants[i].base = Registry::base(3);
  }
  Served subscribed;
  subscribed.after(hello(wants));
  auto again = wants.front();
  tell(subscribed.session, wire::WantMore{{again}});
  CHECK(error_in(subscribed.session) == 0);
  again.ledger = ledger(wants.size());
  tell(subscribed.session, wire::WantMore{{again}});
  CHECK(error_in(subscribed.session) == number(ErrorCode::kLimit));

  auto once = want();
  once.version = 1;
  Served prepared;
  tell(prepared.session, hello(std::vector(limits::kStreamsMax, once)));
  CHECK(error_in(prepared.session) == 0);
  tell(prepared.session, wire::WantMore{{once}});
  CHECK(error_in(prepared.session) == number(ErrorCode::kLimit));

  Served sent;
  CHECK(sent.offers_after(hello(std::vector(limits::kStreamsMax, once))).size() ==
        limits::kStreamsMax);
  tell(sent.session, wire::WantMore{{once}});
  CHECK(error_in(sent.session) == 0);
}

TEST_CASE("the registry picks the base, the first known older release, or none") {
  const wire::Base unknown{2, hash_of(0xff)};
  const std::pair<wire::Want, uint64_t> cases[] = {
      {want(Registry::base(2)), 2}, {want(unknown, {unknown, Registry::base(1)}), 1}, {want(), 0}};
  for (const auto& [wanted, base] : cases) {
    Served served;
    const auto offers = served.offers_after(hello({wanted}));
    REQUIRE(offers.size() == 1);
    CHECK(offers.front().is_short());
    CHECK(offers.front().subscription == 0);
    CHECK(base_of(offers.front()) == base);
    CHECK(offers.front().artifact.is_zero());
  }
  Served foreign;
  const auto asked = foreign.after(hello({want(unknown)}));
  CHECK(all_of<wire::Offer>(asked).empty());
  CHECK(all_of<wire::InventoryRequest>(asked).size() == 1);
  Served current;
  const auto said = current.after(hello({want(Registry::base(3))}));
  CHECK(all_of<wire::Offer>(said).empty());
  CHECK(all_of<wire::Welcome>(said).at(0).heads.at(0).version == 3);
}

TEST_CASE("what the registry has lost is asked for, and not published past") {
  Served served;
  wire::Hello greeting = hello({want(Registry::base(5))});
  tell(served.session, greeting);
  bool holds_more = false;
  for (const session::ServerEvent& event : served.session.take_events())
    holds_more |= std::holds_alternative<session::server_event::HoldsMore>(event);
  CHECK(holds_more);
  served.output();

  REQUIRE(served.session.ask_held(held_request()));
  CHECK(all_of<wire::HeldRequest>(served.output()).size() == 1);
  CHECK(served.after(wire::Held{kLedger, {}, {}, {}}).empty());
  REQUIRE(served.session.ask_return(return_request(), kStart));
  CHECK(all_of<wire::ReturnRequest>(served.output()).size() == 1);
  wire::Return answer = returned();
  answer.base = Registry::base(2);
  CHECK(served.after(answer).empty());
  CHECK(served.after(wire::Chunk{0, "ten bytes!"}).empty());
  tell(served.session, answer);
  CHECK(error_in(served.session) == number(ErrorCode::kState));
}

TEST_CASE("one offer at a time, the next after its Commit, and none of what was refused") {
  Served served;
  CHECK(served.offers_after(hello({want(Registry::base(2))})).size() == 1);
  served.registry.last = 4;
  served.session.target_changed(kLedger);
  CHECK(all_of<wire::Offer>(served.output()).empty());
  const auto next = served.offers_after(commit(3, wire::CommitState::kStored));
  REQUIRE(next.size() == 1);
  CHECK(next.front().version == 4);
  CHECK(base_of(next.front()) == 3);
  CHECK(served.offers_after(commit(4, wire::CommitState::kRejected)).empty());
  served.session.target_changed(kLedger);
  CHECK(all_of<wire::Offer>(served.output()).empty());
  served.registry.last = 5;
  served.session.target_changed(kLedger);
  const auto pushed = all_of<wire::Offer>(served.output());
  REQUIRE(pushed.size() == 1);
  CHECK(base_of(pushed.front()) == 3);
}

TEST_CASE("a transfer is resumed where its artifact is the one that was cut") {
  auto resumed = want(Registry::base(2));
  resumed.resume = wire::ResumeToken{delta::artifact_id(hash_of(2), hash_of(3)), 40};
  const auto offered = Served().offers_after(hello({resumed})).at(0);
  CHECK(offered.offset == 40);
  CHECK(offered.artifact == resumed.resume->artifact);
  resumed.resume->artifact = hash_of(0x77);
  CHECK(Served().offers_after(hello({resumed})).at(0).offset == 0);
}

TEST_CASE("a release that is wanted once is offered once, and not reported") {
  auto once = want(Registry::base(1));
  once.version = 2;
  Served served;
  CHECK(served.offers_after(hello({once})).at(0).version == 2);
  served.session.target_changed(kLedger);
  CHECK(all_of<wire::Offer>(served.output()).empty());
  tell(served.session, commit(2, wire::CommitState::kStored));
  CHECK(error_in(served.session) == number(ErrorCode::kState));
}

TEST_CASE("a release that waits for signatures is offered once, by its hash") {
  auto wanted = want(Registry::base(3));
  wanted.version = 4;
  wanted.pending_hash = hash_of(0x70);
  Served served;
  const auto offers = served.offers_after(hello({wanted}));
  REQUIRE(offers.size() == 1);
  CHECK(offers.front().base == Registry::base(3));
  CHECK(offers.front().artifact == delta::artifact_id(hash_of(3), hash_of(0x70)));
  CHECK(offers.front().version == 4);
  wanted.pending_hash = hash_of(0x71);
  Served missing;
  const auto said = all_of<wire::Welcome>(missing.after(hello({wanted})));
  CHECK(said.at(0).refusals.at(0).code == ErrorCode::kNotFound);
}

TEST_CASE("roots come after Welcome, in order, then freshness, then what rests on them") {
  Served served;
  served.registry.roots = 4;
  served.registry.attests = true;
  wire::Hello greeting = hello({want(Registry::base(2))});
  greeting.root_version = 2;
  const auto said = served.after(greeting);
  REQUIRE(said.size() >= 5);
  CHECK(std::get<wire::Welcome>(said[0]).root_version == 4);
  CHECK(std::get<wire::RootUpdate>(said[1]).envelope == "root 3");
  CHECK(std::get<wire::RootUpdate>(said[2]).envelope == "root 4");
  CHECK(std::get<wire::FreshnessUpdate>(said[3]).root_version == 4);
  CHECK(std::holds_alternative<wire::Offer>(said[4]));

  served.registry.roots = 5;
  served.session.roots_changed(kStart);
  const auto later = all_of<wire::RootUpdate>(served.output());
  REQUIRE(later.size() == 1);
  CHECK(later.front().envelope == "root 5");
}

TEST_CASE("freshness is sent at the start, each interval, and soon after a withdrawal") {
  Served served;
  served.registry.attests = true;
  wire::Hello greeting = hello({want(Registry::base(3))});
  greeting.freshness_sequence = 5'000;
  const auto first = all_of<wire::FreshnessUpdate>(served.after(greeting));
  REQUIRE(first.size() == 1);
  CHECK(first.front().base_sequence == 0);
  CHECK(first.front().sequence == 5'001);
  CHECK(first.front().heads.at(0).version == 3);

  Now now{kStart.wall_ms, served.session.next_deadline()};
  CHECK(now.boot_ms <= kStart.boot_ms + limits::kFreshnessIntervalMs);
  served.session.on_deadline(now);
  const auto renewed = all_of<wire::FreshnessUpdate>(served.output());
  REQUIRE(renewed.size() == 1);
  CHECK(renewed.front().base_sequence == 5'001);
  CHECK(renewed.front().sequence == 5'002);
  CHECK(renewed.front().heads.empty());
  CHECK(renewed.front().root_version == 0);

  served.session.freshness_due_now(now);
  CHECK(served.session.next_deadline() <= now.boot_ms + limits::kFreshnessSoonMs);
}

TEST_CASE("time: a steady transfer goes on, a frame that stays cut does not") {
  Bytes stream = wire::encode_frame(welcome()) + wire::encode_frame(offer(1, 1 << 20));
  for (int i = 0; i < 1000; ++i) stream += wire::encode_frame(wire::Chunk{1, Bytes(1000, 'x')});
  session::ClientSession session(hello(), {}, kStart);
  Now now = kStart;
  // Every read ends inside a frame, as can happen when a peer fills its records.
  for (size_t at = 0; at < stream.size() && !session.is_closed(); at += 1007) {
    now.boot_ms += 100;
    session.receive(ByteView(stream).substr(at, 1007), now);
    if (now.boot_ms >= session.next_deadline()) session.on_deadline(now);
  }
  CHECK_FALSE(session.is_closed());
  CHECK(now.boot_ms > kStart.boot_ms + limits::kTransferStallMs);

  session.receive(wire::encode_frame(wire::Ping{1}).substr(0, 1), now);
  for (TimeMs passed = 0; passed <= limits::kTransferStallMs; passed += 1000)
    if (now.boot_ms + passed >= session.next_deadline())
      session.on_deadline({now.wall_ms, now.boot_ms + passed});
  CHECK(error_in(session) == number(ErrorCode::kTimeout));
}

TEST_CASE("time: pings of the client, and the deadlines of silence") {
  session::ClientSession client(hello(), {}, kStart);
  client.take_output(1 << 20);
  CHECK(client.next_deadline() == kStart.boot_ms + limits::kTransferStallMs);  // for Welcome
  tell(client, welcome());
  CHECK(client.next_deadline() == kStart.boot_ms + limits::kPingMs);
  client.on_deadline({0, client.next_deadline()});
  CHECK(all_of<wire::Ping>(messages_in(client.take_output(1 << 20))).at(0).nonce == 1);

  Served served;
  CHECK(served.session.next_deadline() == kStart.boot_ms + limits::kFirstFrameMs);
  served.after(hello());
  const TimeMs idle_ms = kStart.boot_ms + limits::kIdleMs;
  while (served.session.next_deadline() < idle_ms)  // renewals: there is nothing to attest
    served.session.on_deadline({0, served.session.next_deadline()});
  CHECK(served.session.next_deadline() == idle_ms);
  served.session.on_deadline({0, idle_ms});
  CHECK(error_in(served.session) == number(ErrorCode::kTimeout));
}

TEST_CASE("the table of requests is that of the code") {
  std::map<std::string, std::string> written;
  for (const auto& row : table_under("#### Request"))
    if (row.at(3) == "oneof") CHECK(written.emplace(row.at(2), row.at(4)).second);
  CHECK(written == rights_of_requests(wire::Request{}.what));
}

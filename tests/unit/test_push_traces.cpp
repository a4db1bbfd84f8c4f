// Which pushes of a publish are traced, and when their spans end.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "protocol/serve/push_traces.hpp"

namespace notp {
namespace {

const model::LedgerId kLedger{273165098782, "payments"};
const model::LedgerId kOther{273165098782, "refunds"};

struct Kept : SpanSink {
  void add(SpanRecord span) override { spans.push_back(std::move(span)); }
  size_t count(std::string_view name) const {
    return static_cast<size_t>(std::ranges::count(spans, name, &SpanRecord::name));
  }
  const SpanRecord& one(std::string_view name) const {
    const auto found = std::ranges::find(spans, name, &SpanRecord::name);
    REQUIRE(found != spans.end());
    return *found;
  }
  std::vector<SpanRecord> spans;
};

std::string node(int number) {
  return fmt::format("spiffe://core-platform.internal/node/edge-{}", number);
}

struct Site {
  explicit Site(Sampler sampler = {}) : tracer(kept, sampler, random) {}

  void join(int nodes, const std::vector<model::LedgerId>& ledgers = {kLedger}) {
    for (int i = 0; i < nodes; ++i) traces.joined(node(i), ledgers);
  }
  // The nodes of which a push is traced.
  std::set<int> traced(int nodes, uint64_t version) {
    std::set<int> out;
    for (int i = 0; i < nodes; ++i)
      if (traces.begin_push(node(i), kLedger, version, 0).is_open()) out.insert(i);
    return out;
  }

  Kept kept;
  SeededRandom random{11};
  Tracer tracer;
  serve::PushTraces traces{tracer};
};

session::server_event::ArtifactNeeded need(uint64_t version,
                                           const model::LedgerId& ledger = kLedger) {
  session::server_event::ArtifactNeeded out;
  out.ledger = ledger;
  out.version = version;
  return out;
}

session::PreparedArtifact artifact(size_t bytes) {
  return {.id = {}, .bytes = std::make_shared<const Bytes>(bytes, 'x'), .partial = {}};
}

wire::Commit commit(uint64_t version, wire::CommitState state, uint32_t code = 0) {
  return {.ledger = kLedger,
          .version = version,
          .state = state,
          .code = code,
          .message = "data.payments.secret",
          .content_root = {}};
}

TEST_CASE("twenty nodes of a publish are traced, others each time, and all of a small fleet") {
  Site site;
  site.join(1'000);
  std::map<int, int> times;
  for (uint64_t version = 1; version <= 50; ++version) {
    site.traces.announce(kLedger, version, nullptr, 0).end();
    const std::set<int> chosen = site.traced(1'000, version);
    CHECK(chosen.size() == serve::kTracedNodes);
    CHECK(site.traced(1'000, version) == chosen);  // however often they are asked
    for (const int one : chosen) ++times[one];
  }
  // 1,000 times one of 1,000: about 630 of them at least once if the choice is even.
  CHECK(times.size() > 450);

  Site small;
  small.join(7);
  small.traces.announce(kLedger, 1, nullptr, 0).end();
  CHECK(small.traced(7, 1).size() == 7);
}

TEST_CASE("only nodes with a session for the ledger are chosen") {
  Site site;
  site.join(100, {kOther});
  for (int i = 50; i < 60; ++i) site.traces.joined(node(i), {kOther, kLedger});
  for (int i = 50; i < 55; ++i) site.traces.left(node(i));  // has another session
  for (int i = 55; i < 57; ++i) {
    site.traces.left(node(i));
    site.traces.left(node(i));
  }
  site.traces.announce(kLedger, 1, nullptr, 0).end();
  CHECK(site.traced(100, 1) == std::set<int>{50, 51, 52, 53, 54, 57, 58, 59});
}

TEST_CASE("a ratio traces that part of the other nodes as well") {
  Site site({.kind = Sampler::Kind::kRatio, .ratio = 0.1});
  site.join(5'000);
  TraceContext publisher;
  publisher.trace.fill(1);
  publisher.span.fill(2);
  publisher.is_sampled = true;
  const Span publish = site.tracer.begin("publish", SpanKind::kServer, publisher);
  site.traces.announce(kLedger, 1, &publish, 0).end();
  const size_t traced = site.traced(5'000, 1).size();
  CHECK(traced > 450);
  CHECK(traced < 590);
}

TEST_CASE("no push of another version, of an unsampled publish, or long afterwards is traced") {
  Site site;
  site.join(1);
  CHECK(site.traced(1, 1).empty());  // before any publish
  site.traces.announce(kLedger, 2, nullptr, 0).end();
  CHECK(site.traced(1, 1).empty());
  CHECK(site.traced(1, 2).size() == 1);
  CHECK_FALSE(site.traces.begin_push(node(0), kLedger, 2, serve::kTracedPushMs + 1).is_open());
  CHECK_FALSE(site.traces.begin_push(node(0), kOther, 2, 0).is_open());

  TraceContext unsampled;
  unsampled.trace.fill(1);
  unsampled.span.fill(2);
  const Span publish = site.tracer.begin("publish", SpanKind::kServer, unsampled);
  site.traces.announce(kLedger, 3, &publish, 0).end();
  CHECK(site.traced(1, 3).empty());

  const Tracer off;
  serve::PushTraces none(off);
  none.joined(node(0), {kLedger});
  CHECK_FALSE(none.announce(kLedger, 1, nullptr, 0).is_open());
  CHECK_FALSE(none.begin_push(node(0), kLedger, 1, 0).is_open());
}

TEST_CASE("a push lasts from its artifact to the commit that says active") {
  Site site;
  serve::SessionPushes pushes(&site.traces);
  pushes.joined(node(0), {kLedger});
  const Span publish = site.tracer.begin("publish");
  site.traces.announce(kLedger, 4, &publish, 0).end();

  pushes.began(need(4), 0);
  pushes.making(need(4)).end();
  session::PreparedArtifact sent = artifact(321);
  pushes.sent(need(4), sent);
  REQUIRE(sent.trace);
  CHECK(sent.trace->is_sampled);
  pushes.committed(commit(4, wire::CommitState::kStored));
  CHECK(site.kept.count("push") == 0);
  pushes.committed(commit(3, wire::CommitState::kActive));
  CHECK(site.kept.count("push") == 0);
  pushes.committed(commit(4, wire::CommitState::kActive));

  const SpanRecord &push = site.kept.one("push"), &announce = site.kept.one("announce");
  CHECK(push.parent == announce.span);
  CHECK(announce.parent == publish.context()->span);
  CHECK(push.span == sent.trace->span);
  CHECK(push.trace == publish.context()->trace);
  CHECK(site.kept.one("artifact").parent == push.span);
  CHECK(push.error.empty());
  CHECK(std::ranges::find(push.attributes, SpanAttribute{"notp.bytes", int64_t{321}}) !=
        push.attributes.end());
  // The registry's spans name no node.
  for (const SpanAttribute& attribute : push.attributes)
    if (const auto* text = std::get_if<std::string>(&attribute.value))
      CHECK_FALSE(text->contains("edge"));
}

TEST_CASE("a push ends with the reason why it is not completed") {
  Site site;
  const auto end_of = [&](const std::function<void(serve::SessionPushes&)>& what) {
    site.kept.spans.clear();
    serve::SessionPushes pushes(&site.traces);
    pushes.joined(node(0), {kLedger});
    site.traces.announce(kLedger, 4, nullptr, 0).end();
    pushes.began(need(4), 0);
    what(pushes);
    pushes.closed(ErrorCode::kUnavailable);
    REQUIRE(site.kept.count("push") == 1);
    return site.kept.one("push").error;
  };
  using State = wire::CommitState;
  CHECK(end_of([](auto& pushes) { pushes.committed(commit(4, State::kActive)); }).empty());
  CHECK(end_of([](auto& pushes) { pushes.committed(commit(4, State::kRejected)); }) ==
        "pdp_rejected");
  CHECK(end_of([](auto& pushes) {
          pushes.committed(commit(4, State::kRejected, static_cast<uint32_t>(ErrorCode::kIo)));
        }) == "io");
  CHECK(end_of([](auto& pushes) { pushes.failed(need(4), ErrorCode::kCorrupt); }) == "corrupt");
  CHECK(end_of([](auto&) {}) == "unavailable");
}

TEST_CASE("a release that is sent in another form is the same push, a newer one is another") {
  Site site;
  serve::SessionPushes pushes(&site.traces);
  pushes.joined(node(0), {kLedger});
  site.traces.announce(kLedger, 4, nullptr, 0).end();
  std::set<SpanId> sent_as;
  for (int i = 0; i < 2; ++i) {
    pushes.began(need(4), 0);
    session::PreparedArtifact sent = artifact(1);
    pushes.sent(need(4), sent);
    REQUIRE(sent.trace);
    sent_as.insert(sent.trace->span);
  }
  CHECK(sent_as.size() == 1);
  CHECK(site.kept.count("push") == 0);
  site.traces.announce(kLedger, 5, nullptr, 0).end();
  pushes.began(need(5), 0);
  CHECK(site.kept.count("push") == 1);
}

TEST_CASE("a session that is no node's, and a release that was asked for once, have no spans") {
  Site site;
  site.join(1);
  site.traces.announce(kLedger, 4, nullptr, 0).end();
  serve::SessionPushes publisher(&site.traces);
  publisher.began(need(4), 0);
  session::PreparedArtifact sent = artifact(1);
  publisher.sent(need(4), sent);
  CHECK_FALSE(sent.trace);

  serve::SessionPushes pushes(&site.traces);
  pushes.joined(node(0), {kLedger});
  auto pending = need(4);
  pending.pending_hash.bytes.fill(1);
  pushes.began(pending, 0);
  pushes.sent(pending, sent);
  CHECK_FALSE(sent.trace);

  serve::SessionPushes untraced(nullptr);
  untraced.joined(node(0), {kLedger});
  untraced.began(need(4), 0);
  untraced.sent(need(4), sent);
  CHECK_FALSE(sent.trace);
  CHECK(site.kept.count("push") == 0);
}

}  // namespace
}  // namespace notp

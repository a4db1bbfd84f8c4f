// notp decisions verify, gaps, missing: every way in which a log can differ from what its node
// signed is found, and named.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "common/zstd.hpp"
#include "tests/support/signed_log.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/notp/audit/log_history.hpp"
#include "tools/notp/audit/log_verifier.hpp"
#include "tools/notp/audit/missing.hpp"

namespace notp::cli {
namespace {

record::Record decided(int i) {
  return at(decision("payments/transfer", fmt::format(R"({{"amount":{}}})", i)), kStartNs + i);
}

// Three segments of four records.
SignedLog twelve(uint8_t seed) {
  SignedLog log(seed);
  for (int segment = 0; segment < 3; ++segment) {
    std::vector<record::Record> records;
    for (int i = 0; i < 4; ++i) records.push_back(decided(4 * segment + i));
    log.seal(std::move(records));
  }
  return log;
}

using Segments = std::vector<FetchedSegment>;

Segments fetched(const SignedLog& log) {
  Segments out;
  for (const record::Segment& each : log.segments_) out.push_back({each, false});
  return out;
}

LogReport verify(wire::LogRow row, const Segments& segments) {
  LogVerifier verifier(std::move(row), std::string(kDomain));
  for (size_t i = 0; verifier.wanted();) {
    if (i < segments.size())
      verifier.take(segments[i++]);
    else
      verifier.refuse(Error{ErrorCode::kNotFound, "no such segment", {}});
  }
  return std::move(verifier).finish();
}

// Takes a segment apart, lets `change` at its records and packs it again under the same head.
template <typename Change>
void repack(FetchedSegment& fetched, Change change) {
  auto opened = record::OpenedSegment::open(fetched.segment.head, fetched.segment.body);
  REQUIRE(opened);
  std::vector<Bytes> records(opened->records().begin(), opened->records().end());
  change(records);
  Bytes content;
  for (const Bytes& each : records) {
    put_varint(content, each.size());
    content += each;
  }
  fetched.segment.head.content_bytes = content.size();
  fetched.segment.head.count = static_cast<uint32_t>(records.size());
  fetched.segment.body = *zstd_compress(content, {}, {});
}

void check_problem(const LogReport& report, record::Position position, ErrorCode code,
                   std::string_view text) {
  CHECK(report.state() == LogState::kDiffers);
  REQUIRE(report.problem);
  CHECK(report.problem->position == position);
  CHECK(report.problem->why.code == code);
  CHECK_MESSAGE(report.problem->why.message.contains(text), report.problem->why.message);
}

}  // namespace

TEST_CASE("verify: a whole log") {
  const SignedLog log = twelve(1);
  const LogReport report = verify(log.row(), fetched(log));
  CHECK(report.state() == LogState::kWhole);
  CHECK_FALSE(report.problem);
  CHECK(report.verified == 12);
  CHECK(report.segments == 3);
  const SignedLog empty(2);
  CHECK(verify(empty.row(), {}).state() == LogState::kWhole);
}

TEST_CASE("verify: one bit of a record, wherever it is") {
  const SignedLog log = twelve(3);
  size_t tried = 0;
  for (size_t index = 0; index < 4; ++index) {
    auto opened = record::OpenedSegment::open(log.segments_[1].head, log.segments_[1].body);
    REQUIRE(opened);
    for (size_t bit = 0; bit < 8 * opened->records()[index].size(); bit += 5, ++tried) {
      Segments segments = fetched(log);
      repack(segments[1], [&](std::vector<Bytes>& records) {
        records[index][bit / 8] = static_cast<char>(records[index][bit / 8] ^ (1 << bit % 8));
      });
      const LogReport report = verify(log.row(), segments);
      REQUIRE(report.problem);
      // In the segment at the latest: only a signed root tells of a change that keeps the place.
      CHECK(report.problem->position >= 4);
      CHECK(report.problem->position <= 4 + index);
      CHECK(report.verified == 4);
    }
  }
  CHECK(tried > 100);
  // Of the compressed body, and of what the head says.
  for (size_t byte = 0; byte < log.segments_[1].body.size(); byte += 3) {
    Segments segments = fetched(log);
    segments[1].segment.body[byte] = static_cast<char>(segments[1].segment.body[byte] ^ 0x10);
    const LogReport report = verify(log.row(), segments);
    // A few bits of a zstd frame decide nothing.
    if (report.problem) CHECK(report.problem->position >= 4);
  }
  Segments secret = fetched(log);
  secret[1].segment.head.secret[7] = 'x';
  check_problem(verify(log.row(), secret), 4, ErrorCode::kLogFork, "records 4 to 7");
  Segments note = fetched(log);
  note[1].segment.head.checkpoint[note[1].segment.head.checkpoint.size() - 5] ^= 1;
  CHECK(verify(log.row(), note).state() == LogState::kDiffers);
}

TEST_CASE("verify: a record removed, added, or moved is named by its place") {
  const SignedLog log = twelve(4);
  Segments removed = fetched(log);
  repack(removed[1], [](std::vector<Bytes>& records) { records.erase(records.begin() + 2); });
  CHECK(verify(log.row(), removed).problem->position == 4);  // its head says so already
  // The same with a head that claims the old number.
  removed[1].segment.head.count = 4;
  CHECK(verify(log.row(), removed).state() == LogState::kDiffers);

  Segments swapped = fetched(log);
  repack(swapped[1], [](std::vector<Bytes>& records) { std::swap(records[1], records[2]); });
  check_problem(verify(log.row(), swapped), 5, ErrorCode::kLogFork, "record 6 stands in its place");

  Segments shifted = fetched(log);
  repack(shifted[1], [](std::vector<Bytes>& records) {
    records.erase(records.begin() + 2);
    records.push_back(records.back());
  });
  check_problem(verify(log.row(), shifted), 6, ErrorCode::kLogFork, "record 7 stands in its place");
}

TEST_CASE("verify: segments that are left out, moved, or of another log") {
  const SignedLog log = twelve(5);
  Segments missing = fetched(log);
  missing.erase(missing.begin() + 1);
  check_problem(verify(log.row(), missing), 4, ErrorCode::kMessage, "records 8 to 12");
  Segments swapped = fetched(log);
  std::swap(swapped[0], swapped[1]);
  check_problem(verify(log.row(), swapped), 0, ErrorCode::kMessage, "records 4 to 8");
  Segments cut = fetched(log);
  cut.pop_back();
  check_problem(verify(log.row(), cut), 8, ErrorCode::kNotFound, "record 8 cannot be had");

  const SignedLog other = twelve(6);
  Segments foreign = fetched(log);
  foreign[1].segment = other.segments_[1];
  check_problem(verify(log.row(), foreign), 4, ErrorCode::kMessage, other.id().hex());
  // Under the name of this log: its key did not sign it.
  foreign[1].segment.head.log = log.id();
  CHECK(verify(log.row(), foreign).problem->position == 4);

  // The registry serves less than it says, or says another root.
  wire::LogRow shorter = log.row();
  shorter.size = 10;
  check_problem(verify(shorter, fetched(log)), 8, ErrorCode::kMessage, "the log ends at 10");
  wire::LogRow other_root = log.row();
  other_root.root = sha256("x");
  check_problem(verify(other_root, fetched(log)), 12, ErrorCode::kLogFork, "the log's root");
}

TEST_CASE("verify: a fork, both branches signed by the node's own key") {
  const SignedLog log = twelve(7);
  SignedLog branch(7);
  branch.seal({decided(0), decided(1), decided(2), decided(3)});
  branch.seal({decided(4), decided(99), decided(6), decided(7)});
  REQUIRE(branch.id() == log.id());
  Segments replaced = fetched(log);
  replaced[1].segment = branch.segments_[1];
  // By itself it follows; what the node signed next does not follow from it.
  check_problem(verify(log.row(), replaced), 8, ErrorCode::kLogFork, "records 8 to 11");
  replaced.pop_back();
  wire::LogRow row = log.row();
  row.size = 8;
  check_problem(verify(row, replaced), 8, ErrorCode::kLogFork, "the log's root");

  wire::LogRow evidence = log.row();
  evidence.faults = {{ErrorCode::kLogFork, 8, "another checkpoint", 1, "note"}};
  CHECK(verify(evidence, fetched(log)).state() == LogState::kDiffers);
  evidence.faults.front().code = ErrorCode::kLogGap;
  CHECK(verify(evidence, fetched(log)).state() == LogState::kGaps);
}

TEST_CASE("verify: the announcement binds log, node and trust domain") {
  const SignedLog log = twelve(8), other = twelve(9);
  wire::LogRow row = log.row();
  row.announcement[row.announcement.size() / 2] ^= 1;
  CHECK(verify(row, fetched(log)).state() == LogState::kDiffers);
  CHECK(verify(row, fetched(log)).verified == 0);
  row = log.row();
  row.announcement = other.row().announcement;
  check_problem(verify(row, fetched(log)), 0, ErrorCode::kIdentity, "of another log");
  row = log.row();
  row.node = "spiffe://core.internal/node/edge-2";
  check_problem(verify(row, fetched(log)), 0, ErrorCode::kIdentity, "edge-2");
  LogVerifier foreign(log.row(), "other.internal");
  CHECK_FALSE(foreign.wanted());
  check_problem(std::move(foreign).finish(), 0, ErrorCode::kIdentity, "other.internal");
}

TEST_CASE("verify: the certificate of an announcement is of the auditor's authorities") {
  TemporaryFolder folder;
  const auto authority = pki::make_authority("nodes", pki::Validity::days(1'000'000'000'000, 30));
  const auto other = pki::make_authority("others", pki::Validity::days(1'000'000'000'000, 30));
  REQUIRE((authority && other));
  REQUIRE(write_file(folder.path() / "ca.pem", authority->certificate_pem));
  REQUIRE(write_file(folder.path() / "other.pem", other->certificate_pem));
  // It ended long ago: the log outlives it.
  SignedLog log(17, std::string(kNode), std::nullopt, &*authority);
  log.seal({decided(0)});
  const auto check = [&](const char* file) {
    const auto authorities = NodeAuthorities::read(folder.path() / file);
    REQUIRE(authorities);
    LogVerifier verifier(log.row(), std::string(kDomain), {.authorities = &*authorities});
    if (verifier.wanted()) verifier.take(fetched(log).front());
    return std::move(verifier).finish();
  };
  CHECK(check("ca.pem").state() == LogState::kWhole);
  check_problem(check("other.pem"), 0, ErrorCode::kCertificateUntrusted, "other.pem");
  CHECK(NodeAuthorities::read(folder.path() / "absent.pem").error().code == ErrorCode::kConfig);
}

TEST_CASE("verify: dropped bodies, records that one may not read, gap records") {
  SignedLog log = twelve(10);
  Segments dropped = fetched(log);
  dropped[1].segment = log.without_body(1);
  const LogReport report = verify(log.row(), dropped);
  CHECK(report.state() == LogState::kGaps);
  CHECK_FALSE(report.problem);
  CHECK(report.dropped == 4);
  CHECK(report.verified == 12);
  dropped[1].segment.subtrees.front() = sha256("x");
  check_problem(verify(log.row(), dropped), 4, ErrorCode::kLogFork, "records 4 to 7");
  dropped[1].segment.subtrees.clear();
  CHECK(verify(log.row(), dropped).problem->position == 4);

  Segments reduced = fetched(log);
  const auto opened = record::OpenedSegment::open(log.segments_[1].head, log.segments_[1].body);
  reduced[1].segment.body =
      *record::reduce(log.segments_[1].head, *opened, [](size_t i) { return i == 2; });
  reduced[1].segment.head.secret.clear();
  reduced[1].reduced = true;
  const LogReport closed = verify(log.row(), reduced);
  CHECK_MESSAGE(closed.state() == LogState::kWhole,
                (closed.problem ? closed.problem->why.message : ""));
  CHECK(closed.closed == 3);

  log.seal({at(record::Gap{record::GapReason::kPowerLoss, 9, true, "", ""}, kStartNs, 2)});
  const LogReport gaps = verify(log.row(), fetched(log));
  CHECK(gaps.state() == LogState::kGaps);
  REQUIRE(gaps.gaps.size() == 1);
  CHECK(gaps.gaps.front().position == 12);
  CHECK(gaps.lost == 9);
}

TEST_CASE("segments come in parts that must fit together") {
  SignedLog log = twelve(11);
  FakeRegistry registry;
  registry.logs = {&log};
  const auto whole = fetch_segment(registry, log.id(), 5);
  REQUIRE(whole);
  CHECK(whole->segment == log.segments_[1]);
  CHECK(registry.questions > 1);
  log.segments_[1] = log.without_body(1);
  const auto bare = fetch_segment(registry, log.id(), 5);
  REQUIRE(bare);
  CHECK_FALSE(bare->has_body());
  CHECK(bare->segment.subtrees == log.without_body(1).subtrees);
  CHECK(fetch_segment(registry, log.id(), 99).error().code == ErrorCode::kNotFound);

  struct Endless final : AuditPort {
    uint64_t total = 1'000;
    Result<wire::DecisionsPage> ask(const wire::DecisionsRequest&) override {
      wire::DecisionsPage page;
      page.more = true;
      page.cursor = "1";
      return page;
    }
    Result<wire::DecisionCountsPage> ask(const wire::DecisionCountsRequest&) override {
      return wire::DecisionCountsPage{};
    }
    Result<wire::LogsPage> ask(const wire::LogsRequest&) override { return wire::LogsPage{}; }
    Result<wire::SegmentPart> ask(const wire::SegmentRequest& request) override {
      wire::SegmentPart part;
      part.head.first = request.offset;  // another one each time
      part.total = total;
      part.content = "x";
      return part;
    }
  } endless;
  CHECK(fetch_segment(endless, log.id(), 0).error().message.contains("changed while it was read"));
  endless.total = UINT64_MAX;
  CHECK(fetch_segment(endless, log.id(), 0).error().message.contains("at most"));
  CHECK(read_all(RecordPages(endless, {}, false), 10).error().message.contains("again and again"));
}

TEST_CASE("a log's history: runs that were killed, gaps, what was left out") {
  SignedLog log(12);
  FakeRegistry registry;
  registry.logs = {&log};
  log.seal({at(record::RunStart{"notp-client 1", 0, "a"}), at(decision("p", "1")),
            at(record::RunEnd{"SIGTERM"}), at(record::RunStart{}, kStartNs, 2),
            at(record::Dropped{{{"p", record::Outcome::kAllow, "drop[0]", 5}}}, kStartNs, 2),
            at(record::RunStart{}, kStartNs, 3),
            at(record::Gap{record::GapReason::kFull, 3, false, "", ""}, kStartNs, 3)});
  wire::DecisionFilter filter;
  filter.kinds.assign(std::begin(kHistoryKinds), std::end(kHistoryKinds));
  auto records = read_all(RecordPages(registry, filter, false), 100);
  REQUIRE(records);
  const LogHistory history(*std::move(records));
  REQUIRE(history.runs().size() == 3);
  CHECK(history.runs()[0].ended);
  REQUIRE(history.broken().size() == 1);
  CHECK(history.broken().front().run == 2);
  CHECK(history.dropped().size() == 1);
  CHECK(history.gaps().size() == 1);
  CHECK(history.run_at(1) == 1);
  CHECK(history.run_at(4) == 2);
  CHECK(history.run_at(99) == 3);
  CHECK(history.end_of(2, 99) == nullptr);  // a full disk ends no run
}

TEST_CASE("missing: recorded, lost in a gap, dropped, not there, not of this domain") {
  SignedLog log(13);
  log.seal({at(record::RunStart{}), at(decision("p", "1")), at(decision("p", "2"))});
  // The machine lost power: positions 3 to 6 of run 1 were answered and are lost.
  log.seal({at(record::Gap{record::GapReason::kPowerLoss, 100, true, "", ""}, kStartNs, 1),
            at(record::RunStart{}, kStartNs, 2), at(decision("p", "3"), kStartNs, 2),
            at(decision("p", "4"), kStartNs, 2)});
  record::DecisionContent of_opa = decision("p", "5");
  of_opa.decision_id = "a5cd13c1-c57f-49cb-92fe-60645d4dbd7d";
  log.seal({at(of_opa, kStartNs, 2)});
  log.seal({at(decision("p", "6"), kStartNs, 2)});
  log.segments_[3] = log.without_body(3);
  SignedLog ended(14, "spiffe://core.internal/node/edge-2");
  ended.seal({at(record::RunStart{}), at(decision("p", "1"))});
  SignedLog successor(15, "spiffe://core.internal/node/edge-2", ended.id());
  successor.seal({at(record::Gap{record::GapReason::kNewLog, 0, false, "", ""})});
  FakeRegistry registry;
  registry.logs = {&log, &ended, &successor};

  const auto id = [](const SignedLog& of, uint32_t run, record::Position position) {
    return record::DecisionAddress::of(of.id(), run, position).text();
  };
  std::string mistyped = id(log, 1, 1);
  mistyped.back() = mistyped.back() == '0' ? '1' : '0';
  const std::vector<std::pair<std::string, IdState>> expected = {
      {id(log, 2, 6), IdState::kRecorded},
      {id(log, 1, 1), IdState::kRecorded},
      {id(log, 1, 3), IdState::kLost},     // its place has the gap
      {id(log, 1, 5), IdState::kLost},     // its place has a decision of the next run
      {id(log, 1, 90), IdState::kLost},    // beyond the end
      {id(log, 2, 8), IdState::kLost},     // its body was dropped
      {id(log, 2, 9), IdState::kUnknown},  // maybe on its way
      {id(log, 2, 1), IdState::kUnknown},  // no gap explains it
      {id(log, 1, 0), IdState::kUnknown},  // not a decision
      {id(ended, 1, 7), IdState::kLost},   // the node began a new log
      {"a5cd13c1-c57f-49cb-92fe-60645d4dbd7d", IdState::kRecorded},
      {"00000000-0000-4000-8000-000000000000", IdState::kForeign},
      {mistyped, IdState::kForeign},
      {id(SignedLog(99), 1, 1), IdState::kForeign},
      {std::string(500, 'x'), IdState::kForeign},
      {"\xFF", IdState::kForeign}};
  std::vector<std::string> ids;
  for (const auto& [text, state] : expected) ids.push_back(text);
  size_t looked_at = 0;
  const auto answers = find_ids(registry, ids, [&](size_t count) { looked_at = count; });
  REQUIRE(answers);
  CHECK(looked_at == ids.size());
  REQUIRE(answers->size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const IdAnswer& answer = (*answers)[i];
    CHECK(answer.id == ids[i]);
    CHECK_MESSAGE(answer.state == expected[i].second,
                  i << " " << id_state_name(answer.state) << " " << answer.why);
    CHECK((answer.why.empty() == (answer.state == IdState::kRecorded)));
  }
  CHECK((*answers)[3].why == "lost at the gap of record 3: power_loss, at most 100 records");
}

TEST_CASE("missing: many ids of one segment fetch it once") {
  SignedLog log(16);
  std::vector<record::Record> records{at(record::RunStart{})};
  for (int i = 0; i < 200; ++i) records.push_back(decided(i));
  log.seal(std::move(records));
  FakeRegistry registry;
  registry.logs = {&log};
  std::vector<std::string> ids;
  for (record::Position i = 200; i >= 1; --i)
    ids.push_back(record::DecisionAddress::of(log.id(), 1, i).text());
  const auto answers = find_ids(registry, ids, [](size_t) {});
  REQUIRE(answers);
  CHECK(std::ranges::all_of(
      *answers, [](const IdAnswer& answer) { return answer.state == IdState::kRecorded; }));
  const size_t parts = log.segments_.front().body.size() / 100 + 1;
  CHECK(registry.questions <= parts);
}

}  // namespace notp::cli

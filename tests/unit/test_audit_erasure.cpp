// Records that are taken out of the audit store: their bytes, what is left, and what is stated.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <thread>

#include "common/zstd.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/registry/erasure_site.hpp"

namespace notp::audit {
namespace {

namespace fs = std::filesystem;
using Positions = std::vector<record::Position>;

constexpr const char* kAlice = "alice@shop.example";
constexpr const char* kBob = "bob@shop.example";

std::vector<StoredSegment> segments_with(const ErasureSite& site, const Positions& positions) {
  std::map<uint64_t, StoredSegment> out;
  for (const record::Position position : positions) {
    const auto stored = site.store->find(site.log.id, position);
    REQUIRE(stored);
    out.emplace(stored->key, *stored);
  }
  std::vector<StoredSegment> list;
  for (auto& [key, stored] : out) list.push_back(std::move(stored));
  return list;
}

void check_bytes_gone(const ErasureSite& site, const std::vector<StoredSegment>& before) {
  for (const StoredSegment& stored : before) {
    CHECK(files_with(site.audit(), stored.segment.body).empty());
    CHECK(files_with(site.audit(), stored.segment.head.secret).empty());
    CHECK(files_with(site.audit(), stored.index.filter).empty());
  }
}

void check_value_gone(const ErasureSite& site, const std::string& value) {
  REQUIRE(site.store->list({}, [&](const SegmentRow& row, const SegmentIndex& index) {
    const auto stored = site.store->read(row.key);
    REQUIRE(stored);
    if (stored->segment.body.empty()) return true;
    const auto records = StoredRecords::open(*stored);
    REQUIRE(records);
    for (const ByteView record : records->records()) CHECK_FALSE(record.contains(value));
    // The filter is one of what is left.
    const auto built = build_index(stored->segment.head, records->records());
    REQUIRE(built);
    CHECK(built->index.filter == index.filter);
    CHECK(built->index.head == index.head);
    return true;
  }));
  CHECK(files_with(site.audit(), value).empty());
}

// Erases, with everything that must hold before and after; `hers` are the positions that go.
void check_erasure(ErasureSite& site, const Positions& hers) {
  REQUIRE(site.found(kAlice) == hers);
  const auto before = segments_with(site, hers);
  REQUIRE(before.size() == 3);
  CHECK_FALSE(files_with(site.audit(), before[0].segment.body).empty());
  CHECK_FALSE(files_with(site.audit(), before[1].segment.head.secret).empty());
  CHECK_FALSE(files_with(site.audit(), before[2].index.filter).empty());

  const wire::Erased dry = site.erase(kAlice, true);
  CHECK(dry.records == hers.size());
  CHECK(dry.segments == 3);
  CHECK(site.tree->entries().empty());
  CHECK(site.found(kAlice) == hers);

  const wire::Erased done = site.erase(kAlice);
  CHECK(done.records == hers.size());
  CHECK(done.segments == 3);
  check_bytes_gone(site, before);
  check_value_gone(site, kAlice);
  CHECK(site.found(kAlice).empty());
  CHECK(site.found(kBob) == site.recorded(kBob));
  CHECK(site.check_proofs() == hers);
}

void fill(ErasureSite& site) {
  for (size_t i = 0; i < 3; ++i) site.arrive({kAlice, kBob, "carol@shop.example"}, 100 + 50 * i);
  site.arrive({kBob}, 40);
}

TEST_CASE("one person is erased from today's file, and later from a closed one") {
  ErasureSite site;
  fill(site);
  const Positions first = site.recorded(kAlice);
  check_erasure(site, first);
  CHECK_FALSE(fs::exists(site.audit() / "2026-11-30.db"));
  site.now_ms += kErasureDayMs;
  site.arrive({kBob}, 5);
  // The same segments again: what is gone stays gone, and the next ones go from reduced bodies.
  const Positions bobs = site.recorded(kBob);
  const auto before = segments_with(site, bobs);
  CHECK(site.erase(kBob).records == bobs.size());
  check_value_gone(site, kBob);
  for (const StoredSegment& stored : before)
    CHECK(files_with(site.audit(), stored.segment.body).empty());
  Positions gone = first;
  gone.insert(gone.end(), bobs.begin(), bobs.end());
  std::ranges::sort(gone);
  CHECK(site.check_proofs() == gone);
  site.open();
  CHECK(site.check_proofs() == gone);
  CHECK(site.found("carol@shop.example") == site.recorded("carol@shop.example"));
}

TEST_CASE("a file of today that is too large to be changed in place is closed before its time") {
  ErasureSite site({}, {.in_place_bytes_max = 0});
  fill(site);
  check_erasure(site, site.recorded(kAlice));
  CHECK(fs::exists(site.audit() / "2026-11-30.db"));
  site.arrive({kAlice}, 10);  // the next file takes what arrives
  site.open();
  site.arrive({kAlice}, 10);
  CHECK(site.found(kAlice).size() == 20);
  CHECK(site.store->damages().empty());
}

TEST_CASE("a closed file that a backup has a link to is not changed; nor is its copy erased") {
  ErasureSite site;
  fill(site);
  site.now_ms += kErasureDayMs;
  site.arrive({kBob}, 5);
  const fs::path day = site.audit() / "2026-11-29.db", link = site.root() / "backup.db";
  fs::create_hard_link(day, link);
  const std::string linked = content_of(link);
  const auto before = segments_with(site, site.recorded(kAlice));
  check_erasure(site, site.recorded(kAlice));
  CHECK(fs::hard_link_count(link) == 1);
  CHECK(content_of(link) == linked);
  CHECK(linked.contains(before[0].segment.head.secret));
  CHECK(fs::file_size(day) > 0);
  CHECK((fs::status(day).permissions() & fs::perms::others_all) == fs::perms::none);
  for (const auto& entry : fs::directory_iterator(site.audit()))
    CHECK_FALSE(entry.path().filename().string().contains(".new"));
}

TEST_CASE(
    "a refused segment that is kept as evidence has the same records: they go there as well") {
  ErasureSite site;
  fill(site);
  const auto stored = site.store->find(site.log.id, site.recorded(kAlice).front());
  REQUIRE(stored);
  Bytes evidence;
  for (const uint64_t number : {stored->segment.head.first, uint64_t{stored->segment.head.count}})
    put_varint(evidence, number);
  evidence += stored->segment.head.secret + stored->segment.body;
  Bytes later;
  put_varint(later, site.log.records.size());
  put_varint(later, 3);
  later += "a segment that was never taken";
  for (const Bytes& segment : {evidence, later})
    REQUIRE(site.store->put_fault({.log = site.log.id,
                                   .code = ErrorCode::kLogFork,
                                   .position = segment.size(),
                                   .message = "a fork",
                                   .at_ms = 1,
                                   .checkpoint = "signed",
                                   .segment = segment}));
  CHECK(files_with(site.audit(), evidence).contains("logs.db-wal"));
  site.erase(kAlice);
  CHECK(files_with(site.audit(), evidence).empty());
  CHECK_FALSE(files_with(site.audit(), later).empty());
  CHECK(site.store->faults(site.log.id)->size() == 2);
}

TEST_CASE("what is erased is stated first, with the leaf hashes, by whom and why") {
  ErasureSite site;
  fill(site);
  const Positions hers = site.recorded(kAlice);
  site.tree->on_append = [&] { CHECK(site.found(kAlice) == hers); };
  site.erase(kAlice);
  const auto entries = site.tree->entries();
  REQUIRE(entries.size() == 3);
  Positions stated;
  for (const record::TreeEntry& entry : entries) {
    CHECK(entry.kind == record::TreeEntryKind::kErasure);
    CHECK(entry.by == "spiffe://core/admin");
    CHECK(entry.rule == "a request of the person");
    REQUIRE(entry.log);
    CHECK(*entry.log == site.log.id);
    REQUIRE(entry.positions.size() == entry.hashes.size());
    const auto stored = site.store->find(site.log.id, entry.first);
    REQUIRE(stored);
    CHECK(stored->segment.head.first == entry.first);
    CHECK(stored->segment.head.count == entry.count);
    const auto records = StoredRecords::open(*stored);
    REQUIRE(records);
    for (size_t i = 0; i < entry.positions.size(); ++i)
      CHECK(records->leaves()[entry.positions[i] - entry.first] == entry.hashes[i]);
    stated.insert(stated.end(), entry.positions.begin(), entry.positions.end());
  }
  std::ranges::sort(stated);
  CHECK(stated == hers);
}

TEST_CASE("without a statement nothing is erased") {
  ErasureSite site;
  fill(site);
  const Positions hers = site.recorded(kAlice);
  site.tree->refusal = Error{ErrorCode::kCancelled, "the tree ends", {}};
  wire::EraseRequest request;
  request.filter.values = {kAlice};
  request.reason = "why";
  CHECK(site.erasure->erase(request, "me", of_all).error().code == ErrorCode::kCancelled);
  CHECK(site.found(kAlice) == hers);
  CHECK(site.check_proofs().empty());
  site.open();
  CHECK(site.erasure->holds({}, of_all));
  CHECK(site.found(kAlice) == hers);
}

TEST_CASE("a reader gets what is left, and what he may not see is closed for him as well") {
  ErasureSite site;
  fill(site);
  site.erase(kAlice);
  const Positions hers = site.recorded(kAlice);
  const AuditSearch search(*site.store, {});
  for (const bool sees_documents : {true, false}) {
    record::Frontier tree;
    const MaySee may_see = [&](std::string_view ledger) {
      return sees_documents || ledger == kPayments;
    };
    while (tree.size() < site.log.records.size()) {
      const auto part = search.segment({site.log.id, tree.size(), 0}, may_see);
      REQUIRE(part);
      REQUIRE(part->content.size() == part->total);
      const record::Position first = part->head.first;
      if (!part->reduced) {
        const auto opened = record::OpenedSegment::open(part->head, part->content);
        REQUIRE(opened);
        for (const Hash& leaf : record::leaf_hashes(part->head, *opened)) tree.append(leaf);
        continue;
      }
      CHECK(part->head.secret == Bytes(record::kSegmentSecretBytes, '\0'));
      const auto records = record::open_reduced(part->head, part->content);
      REQUIRE(records);
      for (size_t i = 0; i < records->size(); ++i) {
        const record::Record& was = site.log.records[first + i];
        const auto* decision = std::get_if<record::DecisionContent>(&was.content);
        const bool is_open =
            !std::ranges::binary_search(hers, first + i) &&
            (decision == nullptr || sees_documents || decision->ledger == kPayments);
        CHECK((*records)[i].record.has_value() == is_open);
        tree.append((*records)[i].leaf);
      }
    }
    CHECK(tree.root() == site.log.tree.root());
  }
}

TEST_CASE("single decisions are erased by their ids, in pages") {
  ErasureSite site;
  site.page_segments_max = 1;
  site.open();
  fill(site);
  const Positions hers = site.recorded(kAlice);
  wire::EraseRequest request;
  request.reason = "why";
  Positions wanted;
  for (const size_t i : {size_t{0}, size_t{1}, size_t{40}, hers.size() - 1}) {
    wanted.push_back(hers[i]);
    request.ids.push_back(record::DecisionAddress::of(site.log.id, 1, hers[i]).text());
  }
  request.ids.push_back(
      record::DecisionAddress::of(site.log.id, 2, hers[5]).text());  // no such run
  request.ids.push_back(request.ids.front());
  size_t pages = 0, records = 0;
  for (bool more = true; more; ++pages) {
    const auto page = site.erasure->erase(request, "me", of_all);
    REQUIRE_MESSAGE(page, page.error().message);
    more = page->more;
    CHECK(more == !page->cursor.empty());
    request.cursor = page->cursor;
    records += page->records;
  }
  CHECK(pages > 1);
  CHECK(records == 4);
  CHECK(site.check_proofs() == wanted);
  request.cursor = "nonsense";
  CHECK(site.erasure->erase(request, "me", of_all).error().code == ErrorCode::kUsage);
}

TEST_CASE("a filter is worked off in pages, each of which is done when it is answered") {
  ErasureSite site;
  site.page_segments_max = 1;
  site.open();
  fill(site);
  const Positions hers = site.recorded(kAlice);
  wire::EraseRequest request;
  request.filter.values = {kAlice};
  request.reason = "why";
  size_t records = 0;
  for (;;) {
    const auto page = site.erasure->erase(request, "me", of_all);
    REQUIRE(page);
    CHECK(page->segments <= 1);
    records += page->records;
    CHECK(site.found(kAlice).size() == hers.size() - records);
    if (!page->more) break;
    request.cursor = page->cursor;
  }
  CHECK(records == hers.size());
}

TEST_CASE("another's ledgers, young records, and what a node says of itself are not erased") {
  ErasureSite site;
  fill(site);
  const Positions hers = site.recorded(kAlice);
  const auto is_payment = [&](record::Position position) {
    return std::get<record::DecisionContent>(site.log.records[position].content).ledger ==
           kPayments;
  };
  const auto payments = static_cast<uint64_t>(std::ranges::count_if(hers, is_payment));
  REQUIRE(payments > 0);
  REQUIRE(payments < hers.size());
  SUBCASE("another's ledgers") {
    const auto done =
        site.erase(kAlice, false, [](std::string_view ledger) { return ledger == kPayments; });
    CHECK(done.records == payments);
    CHECK(std::ranges::none_of(site.found(kAlice), is_payment));
    CHECK(site.found(kAlice).size() == hers.size() - payments);
  }
  SUBCASE("young records") {
    site.payments_terms = {.days_min = 7, .days_max = 0};
    const auto done = site.erase(kAlice);
    CHECK(done.records == hers.size() - payments);
    CHECK(done.young == payments);
    site.now_ms += 7 * kErasureDayMs - 1;
    CHECK(site.erase(kAlice).young == payments);
    site.now_ms += 1;
    CHECK(site.erase(kAlice).records == payments);
    CHECK(site.found(kAlice).empty());
  }
  SUBCASE("what a node says of itself") {
    wire::EraseRequest request;
    request.filter.kinds = {record::Kind::kActive};
    request.reason = "why";
    CHECK(site.erasure->erase(request, "me", of_all).error().code == ErrorCode::kUsage);
    request.filter = {.node = site.log.node};
    const auto done = site.erasure->erase(request, "me", of_all);
    REQUIRE(done);
    CHECK(done->records == site.log.records.size() - 2);
    CHECK(site.check_proofs().size() == site.log.records.size() - 2);
    CHECK(site.store->find(site.log.id, 0));
  }
}

TEST_CASE("a reduced body that is damaged is an error, wherever it is cut or changed") {
  ErasureSite site;
  site.arrive({kAlice, kBob}, 12);
  site.erase(kAlice);
  auto stored = site.store->find(site.log.id, 5);
  REQUIRE(stored);
  REQUIRE(stored->reduced);
  const auto whole = StoredRecords::open(*stored);
  REQUIRE(whole);
  CHECK(std::ranges::count_if(whole->records(), std::not_fn(&ByteView::empty)) == 6);
  const auto size = zstd_content_bytes(stored->segment.body);
  REQUIRE(size);
  const auto content = zstd_decompress(stored->segment.body, {}, *size);
  REQUIRE(content);
  const auto with = [&](ByteView changed) {
    StoredSegment other = *stored;
    other.segment.body = *zstd_compress(changed, {}, {});
    return StoredRecords::open(other);
  };
  CHECK(with(*content));
  for (size_t i = 0; i < content->size(); ++i) CHECK_FALSE(with(content->substr(0, i)));
  CHECK_FALSE(with(*content + "x"));
  Bytes unknown = *content;
  unknown[0] = 2;
  CHECK_FALSE(with(unknown));
  CHECK_FALSE(with(Bytes(stored->segment.head.content_bytes + 1'000, '\0')));
  CHECK(without_records(*stored, Positions{1}).error().code == ErrorCode::kUsage);
}

TEST_CASE("searches go on while records are erased, and days are made anew") {
  ErasureSite site;
  fill(site);
  site.now_ms += kErasureDayMs;
  site.arrive({kAlice, kBob}, 60);
  const Positions his = site.recorded(kBob);
  std::atomic<bool> is_over = false;
  std::atomic<size_t> searches = 0, wrong = 0;
  std::thread reader([&] {
    const AuditSearch search(*site.store, {});
    wire::DecisionsRequest request;
    request.filter.values = {kBob};
    request.rows_max = 1'000;
    while (!is_over) {
      const auto page = search.decisions(request, of_all);
      if (!page || page->rows.size() != his.size()) ++wrong;
      ++searches;
    }
  });
  for (const char* person : {kAlice, "carol@shop.example", "nobody"}) {
    site.erase(person);
    const size_t before = searches;
    while (searches < before + 20) std::this_thread::yield();
  }
  is_over = true;
  reader.join();
  CHECK(wrong == 0);
  CHECK(site.found(kAlice).empty());
  CHECK(site.store->damages().empty());
}

// --- crashes

TEST_CASE("in a child: erase one person" * doctest::skip()) {
  ErasureSite site(std::getenv("NOTP_TEST_FOLDER"));
  if (std::getenv("NOTP_TEST_TODAY") != nullptr) {
    samples::NodeLog other("edge-2", 2);  // the newest file is written to
    record::Segment segment = other.next(3);
    REQUIRE(site.store->append({samples::stored(other, segment, other.tree, site.now_ms)}));
  }
  site.erase(kAlice);
}

TEST_CASE("a crash leaves the old or the new, and the next start finishes what was begun") {
  for (const bool is_closed : {false, true})
    for (const std::string point : {"removal_begun", "removal_stated", "after_replace",
                                    "before_swap", "after_swap", "removal_done"}) {
      if (point == (is_closed ? "after_replace" : "before_swap")) continue;
      if (!is_closed && point == "after_swap") continue;
      CAPTURE(is_closed);
      CAPTURE(point);
      const TemporaryFolder folder;
      ErasureSite site(folder.path());
      fill(site);
      const Positions hers = site.recorded(kAlice);
      const auto before = segments_with(site, hers);
      if (is_closed) {
        site.now_ms += kErasureDayMs;
        site.arrive({kBob}, 5);
      }
      site.close();
      std::vector<std::pair<std::string, std::string>> environment = {
          {"NOTP_TEST_FOLDER", folder.path().string()}, {"NOTP_FAILPOINT", "audit." + point}};
      if (!is_closed) environment.emplace_back("NOTP_TEST_TODAY", "1");
      const CommandResult child =
          run_command({fs::read_symlink("/proc/self/exe").string(), "--no-skip",
                       "--test-case=in a child: erase one person"},
                      environment);
      REQUIRE_MESSAGE(child.status == 137, child.output);
      site.open();
      const Positions left = site.found(kAlice);
      const bool is_new = left.empty();
      CHECK((is_new || left == hers));
      const size_t stated = site.tree->entries().size();
      // Never gone without a statement.
      if (is_new) CHECK(stated == 3);
      if (point == "removal_begun") CHECK(stated == 0);
      REQUIRE(site.erasure->holds({}, of_all));  // any turn finishes what was begun
      CHECK(site.tree->entries().size() == stated + 3);
      CHECK(site.found(kAlice).empty());
      check_bytes_gone(site, before);
      check_value_gone(site, kAlice);
      CHECK(site.check_proofs() == hers);
      CHECK(site.store->damages().empty());
      site.open();
      REQUIRE(site.erasure->holds({}, of_all));
      CHECK(site.tree->entries().size() == stated + 3);
    }
}

}  // namespace
}  // namespace notp::audit

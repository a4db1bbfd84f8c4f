// An audit store of nodes whose decisions are about persons and ledgers, a tree of statements in a
// file, and a search for bytes in every file of the store.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/storage/files.hpp"
#include "notp-server/audit/erasure.hpp"
#include "notp-server/audit/search.hpp"
#include "tests/support/registry/node_logs.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::audit {

inline constexpr TimeMs kErasureDayMs = 24LL * 3600 * 1000;
inline constexpr uint32_t kFirstArrival = 20'786;  // 2026-11-29
inline constexpr const char* kPayments = "100000000002/payments";
inline constexpr const char* kDocuments = "100000000003/documents";

inline bool of_all(std::string_view) { return true; }

// The registry's tree as a file of one entry a line, which is durable when a call returns.
class FileTree final : public TreeSink {
 public:
  explicit FileTree(std::filesystem::path file) : file_(std::move(file)) {}

  bool try_add(const record::TreeEntry& entry) override { return add(entry); }
  bool add(const record::TreeEntry& entry) override { return append_now(entry).has_value(); }
  using TreeSink::append_now;
  Result<uint64_t> append_now(std::span<const record::TreeEntry> entries) override {
    if (refusal) return std::unexpected(*refusal);
    for (const record::TreeEntry& entry : entries) {
      std::ofstream out(file_, std::ios::app | std::ios::binary);
      out << to_hex(record::encode(entry)) << '\n';
    }
    if (on_append) on_append();
    return this->entries().size() - 1;
  }
  uint64_t sealed_size(const record::LogId&) const override { return 0; }

  std::vector<record::TreeEntry> entries() const {
    std::vector<record::TreeEntry> out;
    std::ifstream in(file_, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
      const auto bytes = from_hex(line);
      REQUIRE(bytes);
      const auto entry = record::decode_tree_entry(*bytes);
      REQUIRE_MESSAGE(entry, entry.error().message);
      out.push_back(*entry);
    }
    return out;
  }
  std::optional<Error> refusal;
  std::function<void()> on_append;

 private:
  const std::filesystem::path file_;
};

inline std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

// The files of a folder that hold a part of `bytes`, in pieces of a size that lies in one page.
inline std::set<std::string> files_with(const std::filesystem::path& folder, ByteView bytes) {
  constexpr size_t kPiece = 24;
  std::set<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string content = content_of(entry.path());
    for (size_t at = 0; at + kPiece <= bytes.size(); at += kPiece)
      if (content.contains(bytes.substr(at, kPiece))) out.insert(entry.path().filename().string());
  }
  return out;
}

// One node; each segment has decisions of persons about two ledgers. Without an argument the folder
// ends with the site.
class ErasureSite {
 public:
  explicit ErasureSite(std::filesystem::path folder = {}, DayFilesOptions options = {})
      : root_(folder.empty() ? own_.path() : std::move(folder)), options_(std::move(options)) {
    options_.wall_ms = [this] { return now_ms; };
    open();
  }

  TimeMs now_ms = kFirstArrival * kErasureDayMs + kErasureDayMs / 2;
  samples::NodeLog log{"edge-1", 1};
  std::unique_ptr<DayFiles> store;
  std::unique_ptr<FileTree> tree;
  std::unique_ptr<Removals> removals;
  std::unique_ptr<Erasure> erasure;
  RetentionTerms payments_terms, documents_terms;
  size_t page_segments_max = limits::kErasePageSegmentsMax;

  std::filesystem::path audit() const { return root_ / "audit"; }
  const std::filesystem::path& root() const { return root_; }

  void open() {
    close();
    auto opened = DayFiles::open(audit(), options_);
    REQUIRE_MESSAGE(opened, opened.error().message);
    store = *std::move(opened);
    tree = std::make_unique<FileTree>(root_ / "tree");
    removals = std::make_unique<Removals>(*store, *tree);
    erasure = std::make_unique<Erasure>(
        *removals, find_terms(),
        ErasureOptions{.clock = clock(), .page_segments_max = page_segments_max});
  }
  void close() {
    erasure.reset();
    removals.reset();
    tree.reset();
    store.reset();
  }
  FindTerms find_terms() {
    return [this](const trust::ReleaseRef& release) -> Result<RetentionTerms> {
      if (release.ledger.text() == kPayments) return payments_terms;
      if (release.ledger.text() == kDocuments) return documents_terms;
      return fail(ErrorCode::kNotFound, "no such release");
    };
  }
  std::function<Now()> clock() {
    return [this] { return Now{.wall_ms = now_ms, .boot_ms = 1}; };
  }

  static record::DecisionContent about(const std::string& person, const std::string& ledger,
                                       uint64_t number) {
    record::DecisionContent out;
    out.path = ledger == kPayments ? "payments/allow" : "documents/read";
    out.ledger = ledger;
    out.outcome = number % 3 == 0 ? record::Outcome::kDeny : record::Outcome::kAllow;
    out.input = fmt::format(R"({{"who":"{}","noise":"{}","n":{}}})", person,
                            sha256(fmt::format("{} {}", person, number)).hex(), number);
    out.result = "true";
    return out;
  }
  // A segment of so many decisions, each of the next of `persons`, of both ledgers in turn. The
  // first one of a site begins with the start of the node, and what it decides with.
  void arrive(const std::vector<std::string>& persons, size_t count) {
    if (log.records.empty())
      REQUIRE(store->put_log({.log = log.id,
                              .node = log.node,
                              .log_key = log.log_key,
                              .announcement = log.announcement(),
                              .tree = {},
                              .first_ms = 1,
                              .last_ms = 1,
                              .pruned = 0}));
    if (log.records.empty()) append(log.next(2));
    std::vector<record::Record> made;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t number = log.records.size() + i;
      record::Record next = log.decision_record(
          about(persons[i % persons.size()], i % 2 == 0 ? kPayments : kDocuments, number));
      next.place.position += i;
      next.time_ns = samples::decision_time_ns(next.place.position);
      made.push_back(std::move(next));
    }
    append(log.seal(std::move(made)));
  }
  void append(record::Segment segment) {
    REQUIRE(store->append({samples::stored(log, std::move(segment), log.tree, now_ms)}));
  }

  // Positions of a person's decisions, as the search finds them now.
  std::vector<record::Position> found(const std::string& person) const {
    std::vector<record::Position> out;
    const AuditSearch search(*store, {});
    wire::DecisionsRequest request;
    request.filter.values = {person};
    request.rows_max = 1'000;
    request.oldest_first = true;
    for (;;) {
      const auto page = search.decisions(request, of_all);
      REQUIRE_MESSAGE(page, page.error().message);
      for (const wire::DecisionRow& row : page->rows) out.push_back(row.position);
      if (!page->more) return out;
      request.cursor = page->cursor;
    }
  }
  // The same as it was recorded.
  std::vector<record::Position> recorded(const std::string& person) const {
    std::vector<record::Position> out;
    for (const record::Record& record : log.records)
      if (const auto* decision = std::get_if<record::DecisionContent>(&record.content);
          decision != nullptr && decision->input && decision->input->contains(person))
        out.push_back(record.place.position);
    return out;
  }
  // Every record that is left proves against the log's root, and the others by their leaf hashes;
  // returns the positions that are gone.
  std::vector<record::Position> check_proofs() const {
    std::vector<Hash> leaves;
    std::vector<record::Position> gone;
    while (leaves.size() < log.records.size()) {
      const auto stored = store->find(log.id, leaves.size());
      REQUIRE_MESSAGE(stored, stored.error().message);
      REQUIRE_FALSE(stored->segment.body.empty());
      const auto records = StoredRecords::open(*stored);
      REQUIRE_MESSAGE(records, records.error().message);
      for (size_t i = 0; i < records->records().size(); ++i) {
        const record::Position position = leaves.size();
        const ByteView bytes = records->records()[i];
        if (bytes.empty())
          gone.push_back(position);
        else
          CHECK(bytes == record::encode(log.records[position]));
        leaves.push_back(records->leaves()[i]);
      }
    }
    for (record::Position position = 0; position < leaves.size(); position += 7)
      CHECK(record::verify_inclusion(leaves[position], position, leaves.size(),
                                     record::inclusion_proof(position, leaves), log.tree.root()));
    return gone;
  }
  wire::Erased erase(const std::string& person, bool dry_run = false,
                     const MaySee& may_erase = of_all) {
    wire::EraseRequest request;
    request.filter.values = {person};
    request.reason = "a request of the person";
    request.dry_run = dry_run;
    wire::Erased total;
    for (;;) {
      const auto page = erasure->erase(request, "spiffe://core/admin", may_erase);
      REQUIRE_MESSAGE(page, page.error().message);
      total.records += page->records;
      total.segments += page->segments;
      total.held += page->held;
      total.young += page->young;
      if (!page->more) return total;
      request.cursor = page->cursor;
    }
  }

 private:
  TemporaryFolder own_;
  const std::filesystem::path root_;
  DayFilesOptions options_;
};

}  // namespace notp::audit

// A spool in a temporary folder, and what a reader of its segments sees.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <vector>

#include "common/crypto/x509.hpp"
#include "notp-client/spool/recovery.hpp"
#include "notp-client/spool/spool.hpp"
#include "tests/support/decision_records.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::spools {

inline constexpr const char* kNode = "spiffe://shop.example/node/till-7";
inline constexpr int64_t kNeverMs = 24LL * 3600 * 1000;  // longer than any test

inline spool::Entry entry(uint64_t i, spool::Durability durability = spool::Durability::kBatched,
                          spool::ActiveSetPtr active = nullptr) {
  return {samples::decision_time_ns(i), samples::decision(7, i), std::move(active), durability};
}

// Nothing is sealed or synced by time, so that a test decides when.
struct SpoolSite {
  TemporaryFolder folder;
  std::filesystem::path spool = folder.path() / "decisions";
  spool::SpoolOptions options{.ring_bytes = 1 << 20,
                              .sync_ms = kNeverMs,
                              .seal_connected_ms = kNeverMs,
                              .seal_offline_ms = kNeverMs,
                              .boot_id_file = folder.path() / "boot_id"};
  spool::SpoolIdentity identity{"shop.example", kNode, "test 1", {}};

  SpoolSite() { start_machine("1f0c36a4-0000-4000-8000-000000000001"); }

  void start_machine(const std::string& boot_id) const {
    std::ofstream(options.boot_id_file, std::ios::trunc) << boot_id << "\n";
  }
  std::unique_ptr<spool::DecisionSpool> open() const {
    auto opened = spool::DecisionSpool::open(spool, options, identity);
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  }
  // The folder as a kill -9 would leave it now, but for a ring that is being made.
  std::filesystem::path killed_copy(const std::string& name) const {
    const auto copy = folder.path() / name;
    std::filesystem::remove_all(copy);
    std::filesystem::create_directory(copy);
    for (const auto& file : std::filesystem::directory_iterator(spool))
      if (file.path().extension() != ".new")
        std::filesystem::copy_file(file.path(), copy / file.path().filename());
    return copy;
  }
  std::unique_ptr<spool::DecisionSpool> open_copy(const std::filesystem::path& copy) const {
    auto opened = spool::DecisionSpool::open(copy, options, identity);
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  }
};

inline record::Position append(spool::DecisionSpool& spool, const spool::Entry& entry) {
  const auto written = spool.append(entry);
  REQUIRE_MESSAGE(written, written.error().message);
  REQUIRE(*written);
  return (*written)->position;
}

inline Result<void> wait_durable(spool::DecisionLog& log, record::Position position) {
  std::promise<Result<void>> durable;
  log.when_durable(position, [&](Result<void> done) { durable.set_value(std::move(done)); });
  return durable.get_future().get();
}

// The log key, as an auditor learns it from the announcement.
inline PublicKey log_key(const std::filesystem::path& folder) {
  auto table = spool::SegmentTable::open_to_read(folder / spool::kTableFile);
  REQUIRE(table);
  auto state = (*table)->load();
  REQUIRE_MESSAGE(state, state.error().message);
  return PrivateKey::from_pem((*state)->key_pem).value().public_key();
}

// Seals, and reads all segments from position 0 on; nullopt stands for a record without its bytes.
// Every segment leads to its checkpoint, which the key of the log signed.
inline std::vector<std::optional<record::Record>> sealed_records(spool::DecisionSpool& spool,
                                                                 const PublicKey& key) {
  std::vector<std::optional<record::Record>> out;
  const auto sealed = spool.seal_now();
  REQUIRE_MESSAGE(sealed, sealed.error().message);
  record::Frontier tree;
  while (tree.size() < spool.sealed().size) {
    const auto segment = spool.segment(tree.size());
    REQUIRE_MESSAGE(segment, segment.error().message);
    std::optional<record::OpenedSegment> opened;
    if (!segment->body.empty()) {
      opened = record::OpenedSegment::open(segment->head, segment->body).value();
      REQUIRE(record::check_places(segment->head, *opened));
    }
    const auto extended = record::extend_tree(tree, *segment, opened ? &*opened : nullptr, key);
    REQUIRE_MESSAGE(extended, extended.error().message);
    CHECK(extended->origin == record::log_origin(kNode, segment->head.log));
    for (uint32_t i = 0; i < segment->head.count; ++i) {
      if (opened)
        out.emplace_back(record::decode(opened->records()[i]).value());
      else
        out.emplace_back();
    }
  }
  CHECK(tree.root() == spool.sealed().root);
  return out;
}

inline PublicKey key_of(const spool::DecisionSpool& spool, const std::filesystem::path& folder) {
  // The table is locked by its user: a copy is read.
  const auto copy = folder.string() + ".key";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(folder, copy);
  const PublicKey key = log_key(copy);
  std::filesystem::remove_all(copy);
  CHECK(record::LogId::of(key) == spool.status().log);
  return key;
}

// The same without bodies that were dropped.
inline std::vector<record::Record> all_records(spool::DecisionSpool& spool,
                                               const std::filesystem::path& folder) {
  std::vector<record::Record> out;
  for (auto& record : sealed_records(spool, key_of(spool, folder))) {
    REQUIRE(record);
    CHECK(record->place.position == out.size());
    out.push_back(*std::move(record));
  }
  return out;
}

inline std::vector<record::Gap> gaps_in(const std::vector<record::Record>& records) {
  std::vector<record::Gap> out;
  for (const record::Record& record : records)
    if (const auto* gap = std::get_if<record::Gap>(&record.content)) out.push_back(*gap);
  return out;
}

inline size_t count_of_kind(const std::vector<record::Record>& records, record::Kind kind) {
  return static_cast<size_t>(std::ranges::count(records, kind, &record::Record::kind));
}

}  // namespace notp::spools

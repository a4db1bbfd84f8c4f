// What is kept of logs that have ended and that another one follows.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "notp-client/spool/old_files.hpp"
#include "notp-client/spool/spool_check.hpp"
#include "tests/support/agent/spools.hpp"

namespace notp::spools {

struct OldLog {
  record::LogId log;
  std::string ends;  // why
  std::optional<record::LogId> previous;
  std::vector<record::Record> records;  // sealed ones, and those of the ring
  record::Position acknowledged = 0;
  spool::SpoolReport report;  // of `decisions verify`
};

inline OldLog read_old_log(const std::filesystem::path& folder) {
  OldLog out;
  {
    const auto table = spool::SegmentTable::open_to_read(folder / spool::kTableFile);
    REQUIRE_MESSAGE(table, table.error().message);
    const auto state = (*table)->load();
    REQUIRE_MESSAGE(state, state.error().message);
    REQUIRE(*state);
    out.log = record::LogId::of(PrivateKey::from_pem((*state)->key_pem).value().public_key());
    out.previous = (*state)->previous;
    out.ends = (*table)->ending().value();
    out.acknowledged = (*state)->acknowledged;
    REQUIRE((*table)->for_each([&](const spool::SegmentRow& row) {
      const auto opened =
          record::OpenedSegment::open(row.head, (*table)->body(row.head.first).value()).value();
      for (const ByteView bytes : opened.records())
        out.records.push_back(record::decode(bytes).value());
      return true;
    }));
    const auto ring = spool::RingFile::open(folder / spool::kRingFile);
    REQUIRE_MESSAGE(ring, ring.error().message);
    const auto content = spool::read_ring(**ring, (*state)->live);
    REQUIRE_MESSAGE(content, content.error().message);
    for (const auto& unsealed : content->backlog)
      out.records.push_back(record::decode(unsealed->record()).value());
  }
  const auto report = spool::verify_spool(folder);
  REQUIRE_MESSAGE(report, report.error().message);
  out.report = *report;
  for (size_t i = 0; i < out.records.size(); ++i) CHECK(out.records[i].place.position == i);
  return out;
}

// The logs whose files were set aside in `folder`, oldest first.
inline std::vector<OldLog> old_logs(const std::filesystem::path& folder) {
  std::set<std::string> endings;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::string table = std::string(spool::kTableFile) + ".old-";
    if (name.starts_with(table) && !name.ends_with("-wal"))
      endings.insert(name.substr(std::string_view(spool::kTableFile).size()));
  }
  std::vector<OldLog> out;
  for (const std::string& ending : endings) {
    const TemporaryFolder place;
    for (const std::string part : {"", "-wal"})
      if (const auto from = folder / (spool::kTableFile + ending + part);
          std::filesystem::exists(from))
        std::filesystem::copy_file(from, place.path() / (spool::kTableFile + part));
    std::filesystem::copy_file(folder / (spool::kRingFile + ending),
                               place.path() / spool::kRingFile);
    out.push_back(read_old_log(place.path()));
  }
  return out;
}

}  // namespace notp::spools

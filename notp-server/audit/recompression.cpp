#include "notp-server/audit/recompression.hpp"

#include <string>

#include "common/log.hpp"
#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/stored_records.hpp"

namespace notp::audit {
namespace {

constexpr const char* kNote = "zstd_level";

Result<void> recompress_rows(DayRewrite& rewrite, const std::function<bool()>& keep_going,
                             Recompressed& out) {
  NOTP_ASSIGN(const uint32_t last, rewrite.last_row());
  for (uint32_t row = 1; row <= last; ++row) {
    if (!keep_going()) return fail(ErrorCode::kCancelled, "the registry stops");
    auto stored = rewrite.read(row);
    if (!stored && stored.error().code == ErrorCode::kIo)
      return std::unexpected(std::move(stored).error());
    if (!stored || stored->segment.body.empty()) continue;  // what is damaged stays as it is
    const uint64_t before = stored->segment.body.size();
    auto body = recompressed(*stored, limits::kDayRecompressLevel);
    const bool is_smaller = body && !body->empty();
    ++out.segments;
    out.bytes_before += before;
    out.bytes_after += is_smaller ? body->size() : before;
    if (!is_smaller) continue;
    stored->segment.body = *std::move(body);
    NOTP_TRY(rewrite.put(row, *stored));
  }
  return rewrite.note(kNote, std::to_string(limits::kDayRecompressLevel));
}

}  // namespace

Result<std::optional<Recompressed>> recompress_day(DayFiles& store, uint32_t day,
                                                   const std::function<bool()>& keep_going) {
  NOTP_ASSIGN(const Bytes level, store.note_of(day, kNote));
  if (level == std::to_string(limits::kDayRecompressLevel)) return std::nullopt;
  Recompressed out;
  NOTP_ASSIGN(const bool is_done, store.rewrite(day, [&](DayRewrite& rewrite) {
    return recompress_rows(rewrite, keep_going, out);
  }));
  if (!is_done) return std::nullopt;
  return out;
}

bool ArrivalRate::is_high(uint64_t total, TimeMs boot_ms) {
  constexpr TimeMs kSecondMs = 1'000;
  if (since_ms_ && boot_ms - *since_ms_ < kSecondMs) return is_high_;
  const TimeMs passed_ms = since_ms_ ? boot_ms - *since_ms_ : kSecondMs;
  is_high_ = since_ms_ && (total - total_) * kSecondMs >
                              limits::kBusySegmentsPerSecond * static_cast<uint64_t>(passed_ms);
  since_ms_ = boot_ms;
  total_ = total;
  return is_high_;
}

void recompress_days(DayFiles& store, const std::function<bool()>& keep_going) {
  const std::vector<uint32_t> days = store.days();
  for (size_t i = 0; i + 1 < days.size(); ++i) {  // the newest one may be written to
    if (!keep_going()) return;
    const auto done = recompress_day(store, days[i], keep_going);
    if (!done && done.error().code == ErrorCode::kCancelled) return;
    if (!done)
      log::write(log::Level::kWarn, "audit_day_not_compressed", done.error(),
                 {{"file", day_file_name(days[i])}});
    else if (*done)
      log::info("audit_day_compressed", {{"file", day_file_name(days[i])},
                                         {"segments", (*done)->segments},
                                         {"bytes_before", (*done)->bytes_before},
                                         {"bytes_after", (*done)->bytes_after}});
  }
}

}  // namespace notp::audit

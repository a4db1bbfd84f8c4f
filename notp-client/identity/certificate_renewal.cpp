#include "notp-client/identity/certificate_renewal.hpp"

#include <algorithm>

#include "common/limits.hpp"

namespace notp::identity {
namespace {

constexpr TimeMs kRetryFirstMs = 10'000, kRetryMaxMs = 60LL * 60 * 1000;
constexpr int kDoublings = 9;

}  // namespace

void CertificateRenewal::hold(TimeMs not_before_ms, TimeMs not_after_ms) {
  const TimeMs life_ms = std::max<TimeMs>(0, not_after_ms - not_before_ms);
  due_ms_ = not_before_ms + life_ms / 2 +
            static_cast<TimeMs>(random_.below(static_cast<uint64_t>(life_ms / 10)));
  not_after_ms_ = not_after_ms;
  not_again_before_ms_ = 0;
  answer_by_ms_ = kNever;
  failures_ = 0;
}

bool CertificateRenewal::is_due(const Now& now) const {
  return !is_waiting() && now.wall_ms >= due_ms_ && now.wall_ms < not_after_ms_ &&
         now.boot_ms >= not_again_before_ms_;
}

TimeMs CertificateRenewal::next_deadline(const Now& now) const {
  if (is_waiting()) return answer_by_ms_;
  if (due_ms_ == kNever || now.wall_ms >= not_after_ms_) return kNever;
  return std::max(not_again_before_ms_, now.boot_ms + std::max<TimeMs>(0, due_ms_ - now.wall_ms));
}

void CertificateRenewal::asked(const Now& now) {
  answer_by_ms_ = now.boot_ms + limits::kRenewAnswerMs;
}

void CertificateRenewal::failed(const Now& now) {
  answer_by_ms_ = kNever;
  const TimeMs backoff_ms =
      std::min(kRetryMaxMs, kRetryFirstMs << std::min(failures_++, kDoublings));
  // At least eight more tries, however little time is left.
  const TimeMs patience_ms = std::max(kRetryFirstMs, (not_after_ms_ - now.wall_ms) / 8);
  const TimeMs wait_ms = std::min(backoff_ms, patience_ms);
  not_again_before_ms_ = now.boot_ms + wait_ms / 2 +
                         static_cast<TimeMs>(random_.below(static_cast<uint64_t>(wait_ms / 2)));
}

void CertificateRenewal::tick(const Now& now) {
  if (is_waiting() && now.boot_ms >= answer_by_ms_) failed(now);
}

}  // namespace notp::identity

// Decides when a node requests its next certificate. Pure.
#pragma once

#include "common/clock.hpp"
#include "common/random.hpp"

namespace notp::identity {

// Requests begin at half of a certificate's life, which leaves the other half for failures, and are
// repeated after each failure, more often towards the end. One thread.
class CertificateRenewal {
 public:
  // `random` outlives this object.
  explicit CertificateRenewal(Random& random) : random_(random) {}

  // Sets the certificate that is in use from now on; wall times. Renewal is due at half of its life
  // plus up to a tenth of its life, so that nodes that joined at the same time do not renew at the
  // same time.
  void hold(TimeMs not_before_ms, TimeMs not_after_ms);

  // Whether to send a request now. False while an answer is awaited, and for an expired
  // certificate, which cannot authenticate the request.
  bool is_due(const Now& now) const;
  // The request was sent. No answer within kRenewAnswerMs counts as a failure.
  void asked(const Now& now);
  bool is_waiting() const { return answer_by_ms_ != kNever; }
  // No registry was connected, the registry refused, or its answer is unusable.
  void failed(const Now& now);
  // Detects a missing answer. Call it before is_due().
  void tick(const Now& now);

  // Boot time at which tick() and is_due() may return something new, unless the wall clock is set
  // before; kNever: not with this certificate.
  TimeMs next_deadline(const Now& now) const;

  // Wall time of the first request for this certificate; kNever without one.
  TimeMs due_ms() const { return due_ms_; }

 private:
  Random& random_;
  TimeMs due_ms_ = kNever, not_after_ms_ = 0;  // wall time
  TimeMs not_again_before_ms_ = 0;             // boot time
  TimeMs answer_by_ms_ = kNever;               // boot time
  int failures_ = 0;
};

}  // namespace notp::identity

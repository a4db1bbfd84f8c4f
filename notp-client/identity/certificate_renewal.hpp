// When a node asks for its next certificate. Pure.
#pragma once

#include "common/clock.hpp"
#include "common/random.hpp"

namespace notp {

// Half of a certificate's life is left for whatever goes wrong: from then on the node asks, and
// again after each failure, more often towards the end. One thread.
class CertificateRenewal {
 public:
  // `random` outlives the object.
  explicit CertificateRenewal(Random& random) : random_(random) {}

  // The certificate that is in use from now on; wall times. Due at half of its life, and up to a
  // tenth of its life later, so that a fleet that joined at once does not ask at once.
  void hold(TimeMs not_before_ms, TimeMs not_after_ms);

  // Ask now? Not while an answer is awaited. A certificate that has ended is not renewed: nobody
  // would let this node in to ask.
  bool is_due(const Now& now) const;
  // The question was sent. No answer within kRenewAnswerMs counts as a failure.
  void asked(const Now& now);
  bool is_waiting() const { return answer_by_ms_ != kNever; }
  // There was nobody to ask, the registry refused, or what it sent is not usable.
  void failed(const Now& now);
  // Before is_due(): notices an answer that has not come.
  void tick(const Now& now);

  // Boot time at which tick() and is_due() may say something new, if the wall clock is not set
  // before; kNever: not with this certificate.
  TimeMs next_deadline(const Now& now) const;

  // Wall time of the first question for this certificate; kNever without one.
  TimeMs due_ms() const { return due_ms_; }

 private:
  Random& random_;
  TimeMs due_ms_ = kNever, not_after_ms_ = 0;  // wall time
  TimeMs not_again_before_ms_ = 0;             // boot time
  TimeMs answer_by_ms_ = kNever;               // boot time
  int failures_ = 0;
};

}  // namespace notp

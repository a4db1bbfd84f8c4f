#include "common/telemetry/span.hpp"

#include <time.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace notp {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
// Between looks at two clocks that count as one instant, and how often that is tried.
constexpr int64_t kClockGapNs = 20'000;
constexpr int kClockLooksMax = 5;

int64_t read_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

// Not zero, which stands for no id.
template <size_t kBytes>
std::array<uint8_t, kBytes> new_id(Random& random) {
  static_assert(kBytes % sizeof(uint64_t) == 0);
  std::array<uint8_t, kBytes> id{};
  while (id == std::array<uint8_t, kBytes>{})
    for (size_t i = 0; i < kBytes; i += sizeof(uint64_t)) {
      const uint64_t part = random.next_u64();
      for (size_t byte = 0; byte < sizeof(part); ++byte)
        id[i + byte] = static_cast<uint8_t>(part >> (56 - 8 * byte));
    }
  return id;
}

}  // namespace

// A thread may be stopped between two looks: those that are close together count.
SpanTime read_span_clock() {
  SpanTime best;
  int64_t best_gap_ns = std::numeric_limits<int64_t>::max();
  for (int look = 0; look < kClockLooksMax && best_gap_ns > kClockGapNs; ++look) {
    const int64_t before_ns = read_ns(CLOCK_BOOTTIME);
    const int64_t wall_ns = read_ns(CLOCK_REALTIME);
    const int64_t gap_ns = read_ns(CLOCK_BOOTTIME) - before_ns;
    if (gap_ns >= best_gap_ns) continue;
    best = {wall_ns, before_ns};
    best_gap_ns = gap_ns;
  }
  return best;
}

struct Span::Open {
  const Tracer& tracer;
  bool is_sampled = false;
  int64_t steady_ns = 0;  // at the start
  SpanRecord record;
};

Span::Span() = default;
Span::Span(std::unique_ptr<Open> open) : open_(std::move(open)) {}
Span::~Span() { end(); }
Span::Span(Span&& other) noexcept = default;

Span& Span::operator=(Span&& other) noexcept {
  if (this == &other) return *this;
  end();
  open_ = std::move(other.open_);
  return *this;
}

bool Span::is_sampled() const { return open_ && open_->is_sampled; }

std::optional<TraceContext> Span::context() const {
  if (!open_) return std::nullopt;
  return TraceContext{open_->record.trace, open_->record.span, open_->is_sampled};
}

Span Span::child(std::string_view name, SpanKind kind) const {
  if (!open_) return {};
  const Tracer& tracer = open_->tracer;
  return tracer.open(name, kind, {open_->record.trace, tracer.new_span_id(), open_->is_sampled},
                     open_->record.span);
}

void Span::set(std::string_view key, std::string_view value) {
  if (is_sampled()) open_->record.attributes.push_back({std::string(key), std::string(value)});
}

void Span::set_number(std::string_view key, int64_t value) {
  if (is_sampled()) open_->record.attributes.push_back({std::string(key), value});
}

void Span::fail(ErrorCode code) {
  if (!is_sampled()) return;
  const std::string_view name = error_traits(code).name;
  if (open_->record.error.empty()) set("notp.code", name);
  open_->record.error = name;
}

void Span::set_code(uint32_t wire_code) {
  if (wire_code != 0) fail(error_code_from_wire(wire_code));
}

void Span::end() {
  if (!open_) return;
  const std::unique_ptr<Open> ended = std::move(open_);
  if (!ended->is_sampled) return;
  SpanRecord& record = ended->record;
  record.end_ns =
      record.start_ns + std::max<int64_t>(0, ended->tracer.clock_().steady_ns - ended->steady_ns);
  ended->tracer.sink_->add(std::move(record));
}

void Span::drop() { open_.reset(); }

SpanId Tracer::new_span_id() const { return new_id<sizeof(SpanId)>(*random_); }

Span Tracer::begin(std::string_view name, SpanKind kind) const {
  if (!is_on()) return {};
  const auto trace = new_id<sizeof(TraceId)>(*random_);
  return open(name, kind, {trace, new_span_id(), sampler_.samples(trace)}, {});
}

Span Tracer::begin(std::string_view name, SpanKind kind, const TraceContext& parent) const {
  if (!is_on()) return {};
  return open(name, kind,
              {parent.trace, new_span_id(), sampler_.samples(parent.trace, parent.is_sampled)},
              parent.span);
}

Span Tracer::open(std::string_view name, SpanKind kind, const TraceContext& place,
                  SpanId parent) const {
  const SpanTime now = clock_();
  return Span(std::make_unique<Span::Open>(Span::Open{.tracer = *this,
                                                      .is_sampled = place.is_sampled,
                                                      .steady_ns = now.steady_ns,
                                                      .record = {.trace = place.trace,
                                                                 .span = place.span,
                                                                 .parent = parent,
                                                                 .name = std::string(name),
                                                                 .kind = kind,
                                                                 .start_ns = now.wall_ns,
                                                                 .attributes = {},
                                                                 .error = {}}}));
}

}  // namespace notp

// Encodes content for a worker.
#pragma once

#include "common/rego/host/activation.hpp"
#include "common/rego/host/frames.hpp"

namespace notp::rego {

// The frame that stages `need`, and the size of the content. `load_before`: loads need.before; null
// when the worker does not hold it. A large document that differs little from that is sent as its
// changes. Blocking. Errors: the loader's.
struct ContentFrame {
  OutgoingFrame frame;
  uint64_t bytes = 0;
  bool is_patch = false;  // of the changes alone
};
Result<ContentFrame> content_frame(const ContentNeed& need, const ContentLoader& load,
                                   const ContentLoader* load_before);

}  // namespace notp::rego

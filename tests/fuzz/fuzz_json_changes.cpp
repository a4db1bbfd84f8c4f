// Two versions of a document, separated by the first empty line. The changes found, applied to the
// old version, must give the new one.
#include "common/assert.hpp"
#include "common/json/json_changes.hpp"
#include "tests/support/json_reference.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace notp;
  const ByteView input(reinterpret_cast<const char*>(data), size);
  const size_t middle = input.find("\n\n");
  if (middle == ByteView::npos) return 0;
  const ByteView old_text = input.substr(0, middle);
  const ByteView new_text = input.substr(middle + 2);
  const auto changes = find_json_changes(old_text, new_text);
  if (changes && reference::read(old_text))
    NOTP_ASSERT(reference::flaw_of(old_text, new_text, *changes).empty(),
                "changes that do not lead from the old document to the new one");
  return 0;
}

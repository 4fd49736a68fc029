#include "tensor/ops/gemm.h"

#include <algorithm>
#include <type_traits>

#include "tensor/ops/gemm_kernel.h"
#include "tensor/ops/gemm_pack.h"
#include "tensor/parallel.h"
#include "tensor/scratch.h"
#include "tensor/tensor.h"

namespace dlcm::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// How a product is shared: tasks of some rows by some panels of columns. Depends on the shape alone.
struct Plan {
  int64_t rows, panels;    // of a task
  int64_t down, across;    // tasks
  int64_t blocks_at_once;  // blocks of k, of which all of B is packed before the tasks begin
};

int64_t round_up(int64_t n, int64_t multiple) {
  return ceil_div(n, multiple) * multiple;
}

template <class E>
int64_t bytes_of(int64_t words) {
  return words * static_cast<int64_t>(sizeof(typename E::Word));
}

// Rows of a task: with kBlockWords words each at most a sixth of a core's L2 cache, in whole squares for
// packing, and such that an even number of tasks shares the rows evenly.
int64_t task_rows(int64_t m) {
  int64_t best = 80;
  for (const int64_t rows : {64, 48}) {
    const auto covered = [m](int64_t size) { return round_up(ceil_div(m, size), 2) * size; };
    if (covered(rows) < covered(best)) best = rows;
  }
  return std::min(best, m);
}

template <class E>
Plan plan_of(const Gemm& g) {
  constexpr int64_t kTasks = 16;                     // enough for the threads of one machine
  constexpr int64_t kFewestPanels = 4;               // below these, packing A again costs too much
  constexpr int64_t kChunkWords = int64_t{1} << 20;  // of A and B together: they stay in the last cache
  const int64_t panels = ceil_div(g.n, kKernelColumns<E>);
  const int64_t blocks = ceil_div(g.k, kBlockWords * E::kPerWord);
  Plan plan;
  plan.rows = task_rows(g.m);
  plan.down = ceil_div(g.m, plan.rows);
  plan.panels = std::max(std::min(panels, kFewestPanels), ceil_div(panels, ceil_div(kTasks, plan.down)));
  plan.across = ceil_div(panels, plan.panels);
  plan.blocks_at_once = std::clamp<int64_t>(kChunkWords / ((g.m + g.n) * kBlockWords), 1, blocks);
  return plan;
}

// A packed B: blocks of kBlockWords words of k one after the other (the last one shorter), in each all panels
// of kKernelColumns columns.
template <class E>
struct PackedLayout {
  int64_t n, k;

  static constexpr int64_t kBlockElements = kBlockWords * E::kPerWord;
  int64_t panels() const { return ceil_div(n, kKernelColumns<E>); }
  int64_t blocks() const { return ceil_div(k, kBlockElements); }
  int64_t elements(int64_t block) const { return std::min(kBlockElements, k - block * kBlockElements); }
  int64_t words(int64_t block) const { return round_up(ceil_div(elements(block), E::kPerWord), kSquare<E>); }
  int64_t offset(int64_t block, int64_t panel) const {
    return kKernelColumns<E> * (block * kBlockWords * panels() + panel * words(block));
  }
  int64_t size() const { return blocks() == 0 ? 0 : offset(blocks() - 1, panels()); }
};

// Blocks [begin, end), each to its offset from that of `begin`.
template <class E, class S>
void pack_blocks(const GemmOperand& operand, const PackedLayout<E>& layout, int64_t begin, int64_t end,
                 typename E::Word* to) {
  const int64_t panels = layout.panels();
  parallel_for((end - begin) * panels, 1, [&](int64_t index, int64_t) {
    const int64_t block = begin + index / panels;
    const int64_t panel = index % panels;
    const int64_t column = panel * kKernelColumns<E>;
    pack_columns<E, S>(operand,
                       {column, std::min(kKernelColumns<E>, layout.n - column), block * layout.kBlockElements,
                        layout.elements(block)},
                       to + layout.offset(block, panel) - layout.offset(begin, 0));
  });
}

// The columns of C within a panel that is not full.
template <class Sum>
void store_edge(const Sum* edge, int64_t rows, int64_t columns, int64_t edge_stride, Sum* to, int64_t stride,
                bool add) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const Sum value = edge[i * edge_stride + j];
      to[i * stride + j] = add ? to[i * stride + j] + value : value;
    }
  }
}

// Rows of C and panels of its columns.
struct Tile {
  int64_t row, rows;
  int64_t panel, panel_end;
};

// The tile's share of one block of k.
template <class E>
void multiply_block(const Gemm& g, const Tile& tile, const PackedLayout<E>& layout, int64_t block,
                    const typename E::Word* a, const typename E::Word* b) {
  using Sum = typename E::Sum;
  constexpr int64_t kColumns = kKernelColumns<E>;
  const int64_t words = ceil_div(layout.elements(block), E::kPerWord);
  const bool add = g.accumulate || block > 0;
  // Few rows are shared evenly between calls of the kernel: two of 8 rather than 14 and 2.
  const int64_t calls = ceil_div(tile.rows, kKernelRows);
  const int64_t rows = ceil_div(tile.rows, calls);
  for (int64_t panel = tile.panel; panel < tile.panel_end; ++panel) {
    const int64_t columns = std::min(kColumns, g.n - panel * kColumns);
    const typename E::Word* right = b + panel * kColumns * layout.words(block);
    for (int64_t i = 0; i < tile.rows; i += rows) {
      const int64_t count = std::min(rows, tile.rows - i);
      Sum* to = static_cast<Sum*>(g.c) + (tile.row + i) * g.c_stride + panel * kColumns;
      if (columns == kColumns) {
        kernel_of<E>(count, {a + i * kRowStride, right, words, to, g.c_stride, add});
      } else {
        Sum edge[kKernelRows * kColumns];
        kernel_of<E>(count, {a + i * kRowStride, right, words, edge, kColumns, false});
        store_edge(edge, count, columns, kColumns, to, g.c_stride, add);
      }
    }
  }
}

// All rows and columns for the blocks [begin, end) of k, whose packed B is at `b`.
template <class E, class A>
void multiply_blocks(const Gemm& g, const Plan& plan, const PackedLayout<E>& layout, int64_t begin,
                     int64_t end, const typename E::Word* b) {
  parallel_for(plan.down * plan.across, 1, [&](int64_t task, int64_t) {
    const int64_t row = task / plan.across * plan.rows;
    const int64_t rows = std::min(plan.rows, g.m - row);
    Tile tile = {row, rows, task % plan.across * plan.panels, 0};
    tile.panel_end = std::min(layout.panels(), tile.panel + plan.panels);
    auto* a = thread_scratch<typename E::Word>(plan.rows * kRowStride);
    for (int64_t block = begin; block < end; ++block) {
      pack_rows<E, A>(g.a, {row, rows, block * layout.kBlockElements, layout.elements(block)}, a);
      multiply_block<E>(g, tile, layout, block, a, b + layout.offset(block, 0) - layout.offset(begin, 0));
    }
  });
}

// What B is packed of at once: columns such that a block of k of them stays in the last cache.
template <class E>
int64_t columns_at_once() {
  constexpr int64_t kWords = int64_t{1} << 20;
  return kWords / kBlockWords / kKernelColumns<E> * kKernelColumns<E>;
}

template <class E, class A, class B>
void multiply_columns(const Gemm& g) {
  using Word = typename E::Word;
  const Plan plan = plan_of<E>(g);
  const PackedLayout<E> layout = {g.n, g.k};
  const Tensor storage = Tensor::empty({bytes_of<E>(layout.offset(plan.blocks_at_once, 0))}, DType::u8);
  auto* packed = static_cast<Word*>(storage.raw_data());
  for (int64_t begin = 0; begin < layout.blocks(); begin += plan.blocks_at_once) {
    const int64_t end = std::min(layout.blocks(), begin + plan.blocks_at_once);
    pack_blocks<E, B>(g.b, layout, begin, end, packed);
    multiply_blocks<E, A>(g, plan, layout, begin, end, packed);
  }
}

// The columns [begin, end) of the product alone.
template <class E, class B>
Gemm columns_of(const Gemm& g, int64_t begin, int64_t end) {
  Gemm part = g;
  part.n = end - begin;
  part.b.data = static_cast<const B*>(g.b.data) + begin * (along_k(g.b) ? g.b.stride : 1);
  part.c = static_cast<typename E::Sum*>(g.c) + begin;
  return part;
}

template <class E, class A, class B>
void gemm_of(const Gemm& g) {
  if (g.b.order == GemmOrder::packed) {
    const PackedLayout<E> layout = {g.n, g.k};
    return multiply_blocks<E, A>(g, plan_of<E>(g), layout, 0, layout.blocks(),
                                 static_cast<const typename E::Word*>(g.b.data));
  }
  for (int64_t begin = 0; begin < g.n; begin += columns_at_once<E>()) {
    multiply_columns<E, A, B>(columns_of<E, B>(g, begin, std::min(g.n, begin + columns_at_once<E>())));
  }
}

// Calls run.operator()<E, S>() for the elements of the arithmetic and the dtype of the operand.
template <class Run>
void with_elements(DType arithmetic, DType stored, const Run& run) {
  if (arithmetic == DType::f64) return run.template operator()<PlainElement<double>, double>();
  if (arithmetic == DType::f32) return run.template operator()<PlainElement<float>, float>();
  if (stored == DType::bf16) return run.template operator()<PairElement, Bf16>();
  run.template operator()<PairElement, float>();
}

}  // namespace

void gemm(const Gemm& g) {
  const DType arithmetic = g.a.dtype == DType::bf16 ? DType::bf16 : g.b.dtype;
  with_elements(arithmetic, g.a.dtype, [&]<class E, class A>() {
    with_elements(arithmetic, g.b.dtype, [&]<class Same, class B>() {
      if constexpr (std::is_same_v<E, Same>) gemm_of<E, A, B>(g);
    });
  });
}

int64_t packed_gemm_bytes(int64_t n, int64_t k, DType arithmetic) {
  int64_t bytes = 0;
  with_elements(arithmetic, arithmetic, [&]<class E, class S>() {
    bytes = bytes_of<E>(PackedLayout<E>{n, k}.size());
  });
  return bytes;
}

void pack_gemm_operand(const GemmOperand& operand, int64_t n, int64_t k, DType arithmetic, void* packed) {
  with_elements(arithmetic, operand.dtype, [&]<class E, class S>() {
    const PackedLayout<E> layout = {n, k};
    pack_blocks<E, S>(operand, layout, 0, layout.blocks(), static_cast<typename E::Word*>(packed));
  });
}

const char* gemm_engine() {
#if defined(__AVX512BF16__)
  return "AVX-512, bf16 by AVX512_BF16";
#elif defined(__AVX512F__)
  return "AVX-512, bf16 in float32";
#elif defined(__AVX__)
  return "AVX, bf16 in float32";
#else
  return "128-bit vectors, bf16 in float32";
#endif
}

}  // namespace dlcm::cpu

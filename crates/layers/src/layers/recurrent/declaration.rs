//! A recurrent layer and its cell, declared together: the settings of the cell are the layer's too.

/// Declares a layer and its cell: the settings that both have, as [`settings!`](crate::settings!) takes them.
macro_rules! recurrent {
    (
        $(#[$of_layer:meta])* $layer:ident as $layer_class:literal,
        $(#[$of_cell:meta])* $cell:ident as $cell_class:literal called $name:literal,
        of $parts:literal parts,
        {
            $($(#[$doc:meta])* $field:ident: $type:ty = $default:expr,)+
        }
    ) => {
        settings! {
            $(#[$of_layer])*
            #[derive(Clone, Debug)]
            pub struct $layer as $layer_class {
                /// A layer of `units` outputs, with Keras' defaults.
                new(units: usize)
                /// Whether the output of every step is given, or that of the last alone (it is unless told otherwise).
                return_sequences: bool = false,
                /// Whether the states after the last step are given as further outputs (they are not unless told
                /// otherwise).
                return_state: bool = false,
                /// Whether the steps are taken from the last to the first; outputs are in the order in which steps are
                /// taken.
                go_backwards: bool = false,
                stateful: bool = false,
                unroll: bool = false,
                /// Whether the output of a step that the mask leaves out is 0, instead of the output before it.
                zero_output_for_mask: bool = false,
                units: usize = units,
                $($(#[$doc])* $field: $type = $default,)+
                /// A penalty on the outputs, divided by the batch size as Keras does.
                activity_regularizer: Option<Regularizer> = None,
                /// While it trains, the share of the inputs' features that is dropped, the same at every step.
                dropout: f32 = 0.0 => $crate::settings::require_share,
                /// While it trains, the share of the state that is dropped before it is multiplied with the recurrent
                /// kernel, the same at every step.
                recurrent_dropout: f32 = 0.0 => $crate::settings::require_share,
                /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's position.
                seed: Option<u64> = None,
            }
            reading |settings, _it| {
                // How it is computed, not what.
                settings.ignore(&["implementation", "use_cudnn"]);
                settings.unsupported(&["time_major"])?;
            }
        }

        settings! {
            $(#[$of_cell])*
            #[derive(Clone, Debug)]
            pub struct $cell as $cell_class {
                /// A cell of `units` outputs, with Keras' defaults.
                new(units: usize)
                units: usize = units,
                $($(#[$doc])* $field: $type = $default,)+
                /// While it trains, the share of the inputs' features that is dropped, the same at every step.
                dropout: f32 = 0.0 => $crate::settings::require_share,
                /// While it trains, the share of the state that is dropped before it is multiplied with the recurrent
                /// kernel, the same at every step.
                recurrent_dropout: f32 = 0.0 => $crate::settings::require_share,
                /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's position.
                seed: Option<u64> = None,
            }
            reading |settings, _it| {
                settings.ignore(&["implementation"]);
            }
        }

        impl $cell {
            fn dropouts(&self) -> $crate::layers::recurrent::dropped::Dropouts {
                $crate::layers::recurrent::dropped::Dropouts {
                    dropout: self.dropout,
                    recurrent_dropout: self.recurrent_dropout,
                    seed: self.seed,
                    parts: $parts,
                    always_apart: false,
                }
            }

            /// Checks the sizes and declares both kernels.
            fn build_kernels(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
                if self.units == 0 {
                    return Err(Detail::new("units", "at least 1", 0));
                }
                let features = $crate::layers::recurrent::walk::check_cell(self, inputs)?;
                let width = $parts * self.units;
                weights
                    .parameter("kernel", [features, width], &self.kernel_initializer)
                    .regularizer(&self.kernel_regularizer)
                    .constraint(&self.kernel_constraint)
                    .axes([WeightAxis::Input, WeightAxis::Output]);
                weights
                    .parameter("recurrent_kernel", [self.units, width], &self.recurrent_initializer)
                    .regularizer(&self.recurrent_regularizer)
                    .constraint(&self.recurrent_constraint)
                    .axes([WeightAxis::Input, WeightAxis::Output]);
                Ok(())
            }
        }

        impl $layer {
            /// The cell with the layer's settings.
            fn cell(&self) -> $cell {
                $cell {
                    units: self.units,
                    $($field: self.$field.clone(),)+
                    dropout: self.dropout,
                    recurrent_dropout: self.recurrent_dropout,
                    seed: self.seed,
                }
            }

            pub(super) fn walk(&self) -> $crate::layers::recurrent::walk::Walk {
                $crate::layers::recurrent::walk::Walk {
                    return_sequences: self.return_sequences,
                    return_state: self.return_state,
                    go_backwards: self.go_backwards,
                    stateful: self.stateful,
                    zero_output_for_mask: self.zero_output_for_mask,
                }
            }

            /// The same layer with other settings of these.
            pub(super) fn with_walk(
                &self,
                walk: $crate::layers::recurrent::walk::Walk,
            ) -> Self {
                $layer {
                    return_sequences: walk.return_sequences,
                    return_state: walk.return_state,
                    go_backwards: walk.go_backwards,
                    stateful: walk.stateful,
                    zero_output_for_mask: walk.zero_output_for_mask,
                    ..self.clone()
                }
            }
        }

        impl Layer for $layer {
            fn flow(&self) -> Flow {
                Flow::Features
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                self.walk().check(&self.cell(), inputs)?;
                $crate::settings::require(
                    inputs[0].rank() == 3,
                    "",
                    "an input (batch, steps, features)",
                    &inputs[0],
                )
            }

            fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
                vec![("cell", LayerSpec::from(self.cell()).named($name))]
            }

            fn wrapped_inputs(&self, _index: usize, inputs: &[Shape]) -> Vec<Shape> {
                $crate::layers::recurrent::walk::step_of(inputs)
            }

            fn writes_wrapped(&self) -> bool {
                false
            }

            fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                self.call_all(call, inputs)[0]
            }

            fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
                let results = self.walk().call(call, &self.cell(), inputs);
                for &result in &results {
                    call.activity_penalty(&self.activity_regularizer, result);
                }
                results
            }

            fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
                call.mask(0).filter(|_| self.return_sequences)
            }
        }
    };
}
pub(crate) use recurrent;

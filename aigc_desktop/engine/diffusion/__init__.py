"""Local diffusion models: pipelines of diffusers from a folder of the workspace, loaded safely, used and adapted."""

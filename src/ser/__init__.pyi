from ser.predict import Prediction as Prediction
from ser.predict import Predictor as Predictor

__version__: str
